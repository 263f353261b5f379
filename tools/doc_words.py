"""What the reference pages say of decisions, reasons, states, events and exit codes. Owns words alone; `make_docs` holds them
against the enums, so that a member without words, or words without a member, stops it.
"""

from __future__ import annotations

DECISIONS = {
    "hit": "The result is in the store. Nothing is sent.",
    "run": "Will be generated.",
    "undecided": "Something above it will run, or an https input was not fetched yet, so its inputs are not known. It may still "
    "be a hit. Its cost counts in the upper end of the total only.",
    "resume": "A task already in flight answers exactly this. It is followed and collected; nothing is sent.",
    "skip": "`when` is false, or a node it refers to is skipped.",
    "held": "Kept although its inputs changed. Holding is not part of this version, so no plan says it yet.",
    "gated": "Waits for an approval. Gates are not part of this version, so no plan says it yet.",
    "uncertain": "An earlier request was never answered. Nothing is sent until somebody decides.",
    "rejected": "Refused for good at an earlier time. Not sent again without `--retry-rejected`.",
    "blocked": "Below a node that is uncertain, rejected, failed, or excluded and never made; or its own inputs are wrong.",
    "excluded": "Not selected, and not in the store.",
}

REASONS = {
    "new": "Nothing was ever made at this address, under this provider and profile.",
    "input-changed": "An input differs from the last result's. Old and new are shown, prompts word by word.",
    "file-changed": "The bytes of a local or https input differ.",
    "upstream-changed": "What a node above made differs, or is not known before it has run.",
    "model-changed": "Another model or operation.",
    "result-missing": "The result is on record, but its file is gone.",
    "result-damaged": "The result is on record, but what is stored is not what was stored.",
    "salt-changed": "Another `cache` salt.",
    "cache-off": "`cache: false`: a new result each apply.",
    "shared": "Another node of this plan has the same recipe and makes it. Costs nothing.",
    "lock-differs": "The result that was picked is not to be had, and another one of the same take is used.",
    "input-unread": "An https input was not fetched yet.",
    "forced": "`--force` asked for one more result.",
    "retake": "The recipe is the same and another take of it is wanted.",
    "previously-failed": "The last task of this recipe failed.",
    "when-false": "`when` is false.",
    "upstream-skipped": "A node it refers to is skipped.",
    "upstream-blocked": "A node above it cannot be had in this run.",
    "not-selected": "`--select` or `--exclude` leaves it out.",
}

STATES = {
    "blocked": "Waits for what is above it; or what is above it will not come in this run.",
    "ready": "May be asked for.",
    "queued": "The ledger was asked and gave no place yet: a limit is reached, or credits are missing.",
    "running": "Being sent, or a task at the API.",
    "collecting": "The task has succeeded; its files are being downloaded and checked.",
    "backing_off": "Waits before a further attempt.",
    "gated": "Waits for an approval. Not part of this version.",
    "succeeded": "Made in this run.",
    "reused": "Found: in the store, or made by a twin or another process.",
    "skipped": "Not wanted.",
    "failed": "Has no result in this run. The next apply tries again.",
    "rejected": "Refused for good, and remembered.",
    "uncertain": "A request may have been accepted, and nobody knows.",
    "cancelled": "Cancelled. Nothing in this version cancels a task.",
    "excluded": "Not selected.",
}

EVENTS = {
    "run-started": "A run begins. `cap`: the most credits it may commit.",
    "limits-read": "What the organization allows: for each model that may run, generations at once and those the day has left; "
    "the balance. At the start, and again when it changed.",
    "expanded": "The nodes of the run, each with what it waits for.",
    "decided": "What the planner says of one node, with one entry a take.",
    "prepared": "The inputs of a take are stored and uploaded.",
    "queued": "A limit holds a take up. `until`: when that may change by itself; `elsewhere`: slots of its model that this run "
    "does not hold.",
    "over-cap": "A take does not fit the credits. `left`: what remains; `credits`: what it would take; `until`: when the day of "
    "`limits.credits_per_day` has room for it.",
    "caps-told": "What each cap leaves, after a run in which something did not fit; `next_free`: when a used-up model has a "
    "generation again.",
    "granted": "A take may go on. `how`: `new`, `resumed` (a task in flight), `joined` (another process has it) or `shared`.",
    "submitted": "The API accepted a request. `credits`: the estimate.",
    "progressed": "A task's status or progress changed.",
    "ended": "A task is terminal at the API; its place is free.",
    "stored": "The files of a take are in the store. `credits`: what it cost, as far as it is known.",
    "found": "Somebody made it meanwhile; nothing is paid.",
    "weighing": "A request was never answered, and the account's counters are read twice to see whether it was accepted.",
    "attempt-failed": "An attempt ended without a result. `verdict` says what follows from it.",
    "slot-freed": "A slot that this run waited for, and that none of its units held, has come free.",
    "woke": "A time that was waited for has come.",
    "left": "The run stops; the take's task stays at the API and on record.",
    "settled": "A node has its outcome. `take`: the one that flows on.",
    "recovered": "A task of an earlier run, which nothing in this plan takes up, was collected, has failed or is left on record.",
    "halted": "The surroundings fail beside any attempt, as a full disk does; nothing new starts.",
    "withdrawn": "What became of a task after an interrupt with `--cancel-on-interrupt`. `status`: `cancelled`, `collected` (it "
    "had finished), `failed` or `left` (it stays at the API and on record).",
    "interrupted": "Ctrl-C, SIGTERM or a closed terminal. `times`: how often; `cancels`: what is at the API is cancelled next.",
    "exported": "What became of one exported file.",
    "export-failed": "Outputs could not be exported. What was made is in the store.",
    "run-ended": "The run is over, with its exit code and summary.",
}

EXITS = {
    0: ("done", "Nothing to do."),
    1: (
        "a node failed or was refused",
        "Read the message at the node. Everything that does not depend on it was made.",
    ),
    2: ("the manifest or the command line is wrong", "Mend the places shown. Nothing ran and nothing was spent."),
    3: ("a limit, a cap or a declined question stopped it", "Apply again when there is room, or raise the cap."),
    4: ("reserved for locked applies", "No command of this version ends so."),
    5: (
        "the store or the ledger is damaged",
        "Apply again: it is set aside and rebuilt. Where something cannot be recovered, `--accept-gaps` goes on without.",
    ),
    6: (
        "nobody knows whether a request was accepted",
        "Decide: `flowrun adopt FILE NODE --task ID`, `flowrun apply FILE --resend NODE` or `flowrun forget FILE NODE`.",
    ),
    7: ("the surroundings failed: key, network, disk, permission", "Mend it and apply again; nothing is lost."),
    10: ("`plan --detailed-exitcode`: something to do", "Apply, or look at what the plan stops at."),
    70: ("a bug in flowrun", "A report lies in `.flowrun/logs/` of the working folder. What was sent is on record."),
    130: ("Ctrl-C", "Apply again: tasks in flight are taken up."),
    143: ("SIGTERM, or a closed terminal (SIGHUP)", "Apply again: tasks in flight are taken up."),
}
