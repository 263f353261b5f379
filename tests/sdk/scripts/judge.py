"""Run by the Python of an environment that has one version of the SDK and nothing of this repository.

    judge.py ADDRESS BROKEN FOLDER

ADDRESS: a sandbox that answers well; BROKEN: one whose storage breaks every connection; FOLDER: has `film.mp4`, `speech.mp3` and
`fox.png`, and is given what is made. Prints one JSON document: by name what was found, or the exception that was not expected.
All runs side by side, since the SDK looks at a task only after 4.5 to 7.5 seconds.
"""

import asyncio
import base64
import json
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import runwayml
from runwayml import AsyncRunwayML, RunwayML

ADDRESS, BROKEN, FOLDER = sys.argv[1], sys.argv[2], Path(sys.argv[3])
KEY = "key_" + "0a" * 64
TYPES = {"film.mp4": "video/mp4", "speech.mp3": "audio/mpeg", "fox.png": "image/png"}
VOICE = {"type": "runway-preset", "preset_id": "Maya"}
STILL = {"model": "gen4_image", "prompt_text": "a fox", "ratio": "1280:720"}
SLOW = {"model": "veo3.1_fast", "prompt_text": "a fox", "ratio": "1280:720", "duration": 4}  # 300 s by the scenario
LONG = {"model": "veo3", "prompt_text": "a fox", "ratio": "1280:720", "duration": 8}  # 300 s
COURSE = {"model": "gemini_2.5_flash", "prompt_text": "a fox", "ratio": "1344:768"}  # 10 s
FILM = {"model": "veo3.1", "prompt_text": "a fox", "ratio": "1280:720", "duration": 4}
WEB = httpx.Client(trust_env=False, verify=False, timeout=30)


def data_uri(name):
    return f"data:{TYPES[name]};base64,{base64.b64encode((FOLDER / name).read_bytes()).decode()}"


def requests(image, film, speech):
    """One request of each operation, as the SDK spells it."""
    return {
        "text_to_image": {
            **STILL,
            "prompt_text": "@scarf",
            "reference_images": [{"uri": image, "tag": "scarf"}],
            "seed": 7,
        },
        "image_to_video": {
            "model": "gen4_turbo",
            "prompt_image": [{"uri": image, "position": "first"}],
            "prompt_text": "it runs",
            "ratio": "1280:720",
            "duration": 5,
        },
        "text_to_video": {**FILM, "audio": False},
        "video_to_video": {"model": "gen4_aleph", "prompt_text": "snow", "ratio": "1280:720", "video_uri": film},
        "character_performance": {
            "model": "act_two",
            "character": {"type": "image", "uri": image},
            "reference": {"type": "video", "uri": film},
            "ratio": "1280:720",
        },
        "sound_effect": {"model": "eleven_text_to_sound_v2", "prompt_text": "a brook", "duration": 2, "loop": True},
        "speech_to_speech": {
            "model": "eleven_multilingual_sts_v2",
            "media": {"type": "audio", "uri": speech},
            "voice": VOICE,
        },
        "text_to_speech": {"model": "eleven_multilingual_v2", "prompt_text": "Two foxes.", "voice": VOICE},
        "voice_dubbing": {"model": "eleven_voice_dubbing", "audio_uri": speech, "target_lang": "es"},
        "voice_isolation": {"model": "eleven_voice_isolation", "audio_uri": speech},
    }


def kind(found):
    return type(found).__name__.replace("Awaitable", "").replace("Async", "")


def kept(name, task):
    """Download the outputs as anybody would, without a key."""
    files = []
    for at, url in enumerate(task.output):
        answer = WEB.get(url)
        path = FOLDER / f"{name}-{at}"
        path.write_bytes(answer.content)
        files.append({"status": answer.status_code, "type": answer.headers["content-type"], "file": path.name})
    return {"type": kind(task), "status": task.status, "files": files}


def raised(error):
    """What a person who catches it can see."""
    details = getattr(error, "task_details", None)
    seen = {"error": f"{type(error).__module__.split('.')[0]}.{type(error).__name__}"}
    if details is not None:
        seen |= {"type": kind(details), "status": details.status}
        seen |= {name: getattr(details, name) for name in ("failure", "failure_code") if hasattr(details, name)}
    return seen


def answer_to(call):
    try:
        found = call()
    except Exception as error:
        return raised(error)
    return {"returned": getattr(found, "status", None)}


async def later_answer_to(call):
    try:
        found = await call
    except Exception as error:
        return raised(error)
    return {"returned": getattr(found, "status", None)}


# the synchronous client: each scene is a thread


def made(client, operation, uris):
    task = getattr(client, operation).create(**requests(*uris)[operation])
    began = time.monotonic()
    found = kept(f"sync-{operation}", task.wait_for_task_output(60))
    return {**found, "waited": time.monotonic() - began}


def retrieved_and_waited_for(client):
    """The other way to wait: for a task that is known by its id alone."""
    task = client.tasks.retrieve(client.text_to_image.create(**STILL).id)
    return kept("sync-retrieved", task.wait_for_task_output(60))


def course(client):
    """The type of each status, in the order in which they were seen."""
    task, seen = client.text_to_image.create(**COURSE).id, {}
    while "SUCCEEDED" not in seen:
        found = client.tasks.retrieve(task)
        seen[found.status] = kind(found)
        time.sleep(0.1)
    failed = client.text_to_image.create(**{**STILL, "prompt_text": "this one fails"}).id
    while (found := client.tasks.retrieve(failed)).status != "FAILED":
        time.sleep(0.1)
    return {**seen, "FAILED": kind(found)}


def throttled(client):
    """Six at once where five may run; then all are cancelled, which ends the one that waits too."""
    tasks = [client.text_to_video.create(**SLOW).id for _ in range(6)]
    last = client.tasks.retrieve(tasks[-1])
    deleted = [client.tasks.delete(task) for task in tasks]
    after = answer_to(lambda: client.tasks.retrieve(tasks[0]))
    twice = answer_to(lambda: client.tasks.delete(tasks[0]))
    return {"last": [last.status, kind(last)], "deleted": deleted, "after": after, "twice": twice}


def waited(client, prompt, timeout):
    began = time.monotonic()
    task = client.text_to_image.create(**{**STILL, "prompt_text": prompt})
    found = answer_to(lambda: task.wait_for_task_output(timeout))
    return {**found, "after": time.monotonic() - began}


def timed_out(client):
    task = client.text_to_video.create(**LONG)
    began = time.monotonic()
    found = {**answer_to(lambda: task.wait_for_task_output(1)), "after": time.monotonic() - began}
    left = client.tasks.retrieve(task.id).status  # waiting no longer does not cancel
    client.tasks.delete(task.id)
    return {**found, "left": left}


def refused(client):
    return {
        "ratio": answer_to(lambda: client.text_to_image.create(**{**STILL, "ratio": "1792:1024"})),
        "key": answer_to(lambda: client.organization.retrieve(extra_headers={"Authorization": "Basic eDp5"})),
        "unknown": answer_to(lambda: client.tasks.retrieve("00000000-0000-4000-8000-000000000000")),
        "small": answer_to(lambda: client.uploads.create_ephemeral(file=("fox.png", b"x" * 500))),
        "unsupported": answer_to(lambda: client.uploads.create_ephemeral(file=("fox.txt", b"x" * 600))),
    }


def uploaded(client):
    """Every form of file."""
    with (FOLDER / "fox.png").open("rb") as opened:
        forms = {"path": FOLDER / "fox.png", "opened": opened, "pair": ("fox.png", (FOLDER / "fox.png").read_bytes())}
        found = {name: client.uploads.create_ephemeral(file=file).uri for name, file in forms.items()}
    found["metadata"] = client.uploads.create_ephemeral(file=FOLDER / "speech.mp3", file_metadata="{}").uri
    return {name: uri.split(":")[0] for name, uri in found.items()}


def account(client):
    before = client.organization.retrieve()
    client.text_to_image.create(**STILL)
    after = client.organization.retrieve()
    today = datetime.now(UTC).date()
    usage = client.organization.retrieve_usage(start_date=today, before_date=today + timedelta(days=1))
    return {
        "fell": before.credit_balance > after.credit_balance,
        "concurrent": after.tier.models["gen4_image"].max_concurrent_generations,
        "daily": after.usage.models["gen4_image"].daily_generations > 0,
        "usage": sum(each.amount for row in usage.results for each in row.used_credits) > 0,
    }


def broken_storage():
    with RunwayML(api_key=KEY, base_url=BROKEN, max_retries=0) as client:
        return answer_to(lambda: client.uploads.create_ephemeral(file=FOLDER / "fox.png"))


def upload_all(client):
    return tuple(
        client.uploads.create_ephemeral(file=FOLDER / name).uri for name in ("fox.png", "film.mp4", "speech.mp3")
    )


def synchronous(client, uris):
    scenes = {
        f"sync {operation}": lambda name=operation: made(client, name, uris) for operation in requests("", "", "")
    }
    return scenes | {
        "sync retrieved": lambda: retrieved_and_waited_for(client),
        "sync course": lambda: course(client),
        "sync throttled": lambda: throttled(client),
        "sync failed": lambda: waited(client, "this one fails", 60),
        "sync cancelled": lambda: waited(client, "this one is cancelled", 5),
        "sync timed out": lambda: timed_out(client),
        "sync refused": lambda: refused(client),
        "sync uploads": lambda: uploaded(client),
        "sync account": lambda: account(client),
        "sync broken storage": broken_storage,
    }


# the asynchronous client: each scene is a task


async def later_made(client, operation, uris):
    task = await getattr(client, operation).create(**requests(*uris)[operation])
    found = await task.wait_for_task_output(60)
    return await asyncio.to_thread(kept, f"async-{operation}", found)


async def later_waited(client, prompt, seconds):
    task = await client.text_to_image.create(**{**STILL, "prompt_text": prompt})
    return await later_answer_to(task.wait_for_task_output(seconds))


async def later_timed_out(client):
    task = await client.text_to_video.create(**LONG)
    return await later_answer_to(task.wait_for_task_output(1))


async def later_cancelled(client):
    task = await client.text_to_video.create(**LONG)
    deleted = await client.tasks.delete(task.id)
    return {"deleted": deleted, "after": await later_answer_to(client.tasks.retrieve(task.id))}


async def later_uploaded(client):
    uri = (await client.uploads.create_ephemeral(file=("fox.png", (FOLDER / "fox.png").read_bytes()))).uri
    reference = {"uri": uri, "tag": "fox"}
    still = {**STILL, "model": "gen4_image_turbo", "prompt_text": "@fox", "reference_images": [reference]}
    task = await client.text_to_image.create(**still)
    return await asyncio.to_thread(kept, "async-upload", await task.wait_for_task_output(60))


async def later_broken_storage():
    async with AsyncRunwayML(api_key=KEY, base_url=BROKEN, max_retries=0) as client:
        return await later_answer_to(client.uploads.create_ephemeral(file=FOLDER / "fox.png"))


async def later_account(client):
    return {"balance": (await client.organization.retrieve()).credit_balance > 0}


async def asynchronous(found):
    uris = tuple(map(data_uri, ("fox.png", "film.mp4", "speech.mp3")))
    async with AsyncRunwayML(api_key=KEY, base_url=ADDRESS, max_retries=0) as client:
        scenes = {f"async {operation}": later_made(client, operation, uris) for operation in requests("", "", "")}
        scenes |= {
            "async failed": later_waited(client, "this one fails", 60),
            "async cancelled by the API": later_waited(client, "this one is cancelled", 30),
            "async timed out": later_timed_out(client),
            "async cancelled": later_cancelled(client),
            "async uploads": later_uploaded(client),
            "async broken storage": later_broken_storage(),
            "async account": later_account(client),
        }
        results = await asyncio.gather(*scenes.values(), return_exceptions=True)
    for name, result in zip(scenes, results, strict=True):
        found[name] = unexpected(result) if isinstance(result, BaseException) else result


def unexpected(error):
    return {"unexpected": f"{type(error).__name__}: {error}"[:500]}


def played(found, name, scene):
    try:
        found[name] = scene()
    except BaseException as error:
        found[name] = unexpected(error)


def main():
    found = {"version": runwayml.__version__}
    with RunwayML(api_key=KEY, base_url=ADDRESS, max_retries=0) as client:
        scenes = synchronous(client, upload_all(client))
        threads = [threading.Thread(target=played, args=(found, *scene)) for scene in scenes.items()]
        for thread in threads:
            thread.start()
        asyncio.run(asynchronous(found))
        for thread in threads:
            thread.join()
    sys.stdout.write(json.dumps(found))


main()
