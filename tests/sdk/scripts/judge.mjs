// Run by Node with one version of the SDK installed beside it.
//
//     judge.mjs ADDRESS BROKEN FOLDER
//
// As judge.py, with which it shares the arguments, the folder and the form of what is printed.

import fs from "node:fs";
import path from "node:path";
import RunwayML from "@runwayml/sdk";

const [address, broken, folder] = process.argv.slice(2);
const KEY = "key_" + "0a".repeat(64);
const TYPES = { "film.mp4": "video/mp4", "speech.mp3": "audio/mpeg", "fox.png": "image/png" };
const VOICE = { type: "runway-preset", presetId: "Maya" };
const STILL = { model: "gen4_image", promptText: "a fox", ratio: "1280:720" };
const SLOW = { model: "veo3.1_fast", promptText: "a fox", ratio: "1280:720", duration: 4 };
const LONG = { model: "veo3", promptText: "a fox", ratio: "1280:720", duration: 8 };
const client = new RunwayML({ apiKey: KEY, baseURL: address, maxRetries: 0 });

const at = (name) => path.join(folder, name);
const opened = (name) => fs.createReadStream(at(name));
const dataUri = (name) => `data:${TYPES[name]};base64,${fs.readFileSync(at(name)).toString("base64")}`;

const requests = (image, film, speech) => ({
  textToImage: { ...STILL, promptText: "@scarf", referenceImages: [{ uri: image, tag: "scarf" }], seed: 7 },
  imageToVideo: {
    model: "gen4_turbo",
    promptImage: [{ uri: image, position: "first" }],
    promptText: "it runs",
    ratio: "1280:720",
    duration: 5,
  },
  textToVideo: { model: "veo3.1", promptText: "a fox", ratio: "1280:720", duration: 4, audio: false },
  videoToVideo: { model: "gen4_aleph", promptText: "snow", ratio: "1280:720", videoUri: film },
  characterPerformance: {
    model: "act_two",
    character: { type: "image", uri: image },
    reference: { type: "video", uri: film },
    ratio: "1280:720",
  },
  soundEffect: { model: "eleven_text_to_sound_v2", promptText: "a brook", duration: 2, loop: true },
  speechToSpeech: { model: "eleven_multilingual_sts_v2", media: { type: "audio", uri: speech }, voice: VOICE },
  textToSpeech: { model: "eleven_multilingual_v2", promptText: "Two foxes.", voice: VOICE },
  voiceDubbing: { model: "eleven_voice_dubbing", audioUri: speech, targetLang: "es" },
  voiceIsolation: { model: "eleven_voice_isolation", audioUri: speech },
});

async function kept(name, task) {
  const files = [];
  for (const [number, url] of task.output.entries()) {
    const answer = await fetch(url);
    const file = `${name}-${number}`;
    fs.writeFileSync(at(file), Buffer.from(await answer.arrayBuffer()));
    files.push({ status: answer.status, type: answer.headers.get("content-type"), file });
  }
  return { status: task.status, files };
}

async function answerTo(promise) {
  try {
    const found = await promise;
    return { returned: found?.status ?? null };
  } catch (error) {
    const details = error.taskDetails;
    const seen = { error: error.constructor.name };
    return details
      ? { ...seen, status: details.status, failure: details.failure, failure_code: details.failureCode }
      : { ...seen, status: error.status ?? null };
  }
}

async function made(operation, uris, form) {
  const task = await client[operation].create(requests(...uris)[operation]).waitForTaskOutput();
  return kept(`node-${form}-${operation}`, task);
}

async function waited(prompt) {
  return answerTo(client.textToImage.create({ ...STILL, promptText: prompt }).waitForTaskOutput());
}

async function timedOut() {
  const task = await client.textToVideo.create(LONG);
  const found = await answerTo(client.tasks.retrieve(task.id).waitForTaskOutput({ timeout: 1 }));
  const left = (await client.tasks.retrieve(task.id)).status;
  await client.tasks.delete(task.id);
  return { ...found, left };
}

async function cancelled() {
  const task = await client.textToVideo.create(LONG);
  const deleted = (await client.tasks.delete(task.id)) ?? null;
  const after = await answerTo(client.tasks.retrieve(task.id));
  const twice = await answerTo(client.tasks.delete(task.id));
  return { deleted, after, twice };
}

async function throttled() {
  const tasks = [];
  for (let count = 0; count < 6; count += 1) tasks.push((await client.textToVideo.create(SLOW)).id);
  const last = (await client.tasks.retrieve(tasks[5])).status;
  for (const task of tasks) await client.tasks.delete(task);
  return { last };
}

async function uploaded() {
  const forms = {
    opened: { file: opened("fox.png") },
    file: { file: new File([fs.readFileSync(at("fox.png"))], "fox.png", { type: "image/png" }) },
    metadata: { file: opened("speech.mp3"), fileMetadata: "{}" },
  };
  const found = {};
  for (const [name, form] of Object.entries(forms)) {
    found[name] = (await client.uploads.createEphemeral(form)).uri.split(":")[0];
  }
  return found;
}

async function account() {
  const before = await client.organization.retrieve();
  await client.textToImage.create(STILL);
  const after = await client.organization.retrieve();
  const today = new Date();
  const day = (ahead) => new Date(today.getTime() + ahead * 86_400_000).toISOString().slice(0, 10);
  const usage = await client.organization.retrieveUsage({ startDate: day(0), beforeDate: day(1) });
  return {
    fell: before.creditBalance > after.creditBalance,
    concurrent: after.tier.models["gen4_image"].maxConcurrentGenerations,
    usage: usage.results.some((row) => row.usedCredits.some((each) => each.amount > 0)),
  };
}

async function refused() {
  const small = new File([new Uint8Array(500)], "fox.png", { type: "image/png" });
  return {
    ratio: await answerTo(client.textToImage.create({ ...STILL, ratio: "1792:1024" })),
    key: await answerTo(client.organization.retrieve({ headers: { Authorization: "Basic eDp5" } })),
    unknown: await answerTo(client.tasks.retrieve("00000000-0000-4000-8000-000000000000")),
    small: await answerTo(client.uploads.createEphemeral({ file: small })),
  };
}

const brokenStorage = () =>
  answerTo(
    new RunwayML({ apiKey: KEY, baseURL: broken, maxRetries: 0 }).uploads.createEphemeral({ file: opened("fox.png") }),
  );

const names = ["fox.png", "film.mp4", "speech.mp3"];
const uploads = [];
for (const name of names) uploads.push((await client.uploads.createEphemeral({ file: opened(name) })).uri);
const operations = Object.keys(requests("", "", ""));
const scenes = {
  ...Object.fromEntries(operations.map((each) => [`uploaded ${each}`, () => made(each, uploads, "uploaded")])),
  ...Object.fromEntries(operations.map((each) => [`inline ${each}`, () => made(each, names.map(dataUri), "inline")])),
  failed: () => waited("this one fails"),
  "cancelled by the API": () => waited("this one is cancelled"),
  "timed out": timedOut,
  cancelled,
  throttled,
  uploads: uploaded,
  account,
  refused,
  "broken storage": brokenStorage,
};
const unexpected = (error) => ({ unexpected: `${error.constructor.name}: ${error.message}`.slice(0, 500) });
const found = await Promise.all(Object.values(scenes).map((scene) => scene().catch(unexpected)));
const version = JSON.parse(fs.readFileSync(new URL("node_modules/@runwayml/sdk/package.json", import.meta.url))).version;
console.log(JSON.stringify({ version, ...Object.fromEntries(Object.keys(scenes).map((name, place) => [name, found[place]])) }));
