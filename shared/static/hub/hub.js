// Sends files, follows documents over the websocket, and asks again by itself where the socket is down.
// Names and sentences reach the page as textContent or as HTML that the server escaped; nothing else does.
"use strict";

(() => {
  const rows = document.getElementById("rows");
  const progress = () => document.getElementById("progress");
  const drop = document.getElementById("drop");
  const live = document.getElementById("live");
  const FINISHED = new Set(["ready", "failed", "cancelled"]);

  // --- saying things ---------------------------------------------------------------------------------------

  const toast = document.getElementById("toast");
  let toastTimer = 0;

  function tell(sentence) {
    toast.textContent = sentence;
    toast.hidden = false;
    clearTimeout(toastTimer);
    toastTimer = setTimeout(() => { toast.hidden = true; }, 8000);
  }

  // Heard, not seen: only endings are announced, never each step.
  function announce(sentence) {
    document.getElementById("announcer").textContent = sentence;
  }

  function sentenceFor(status, answer) {
    if (answer && answer.detail) return answer.detail;
    if (status === 403) return "Your session has changed. Reload the page and try again.";
    if (status === 413) return "This file is too large.";
    if (status === 429) return "That was a lot at once. Wait a minute and try again.";
    if (status === 0) return "The hub could not be reached. Check the connection and try again.";
    return "The hub could not do that just now. Try again in a moment.";
  }

  function parsed(text) {
    try { return JSON.parse(text); } catch { return null; }
  }

  // A session that has ended is answered with the way to the sign-in page: go there instead of showing it in a row.
  function signedOut(target) {
    if (target) location.assign(target);
    return Boolean(target);
  }

  // --- rows ------------------------------------------------------------------------------------------------

  const rowOf = (id) => document.getElementById(`document-${id}`);
  const titleOf = (row) => row.querySelector(".title")?.textContent ?? "";

  const isFiltered = () => [...new URLSearchParams(location.search).values()].some((value) => value !== "");

  function fragment(html) {
    const holder = document.createElement("template");
    holder.innerHTML = html.trim();
    return holder.content;
  }

  function replaceRow(old, fresh) {
    if (old.isEqualNode(fresh)) return;
    const ended = old.dataset.status !== fresh.dataset.status && FINISHED.has(fresh.dataset.status);
    const focused = old.contains(document.activeElement);
    old.replaceWith(fresh);
    if (ended) announce(`${titleOf(fresh)}: ${fresh.querySelector(".state").textContent}`);
    if (focused) fresh.querySelector("a")?.focus();
  }

  // Known rows in their place, new ones where they belong: ids grow with time, and the newest stands first.
  function place(content) {
    for (const fresh of [...content.querySelectorAll(".row")]) {
      const old = document.getElementById(fresh.id);
      if (old) {
        replaceRow(old, fresh);
      } else {
        rows.querySelector(".nothing")?.remove();
        fresh.addEventListener("animationend", () => fresh.classList.remove("fresh"), { once: true });
        fresh.classList.add("fresh");
        const older = [...rows.querySelectorAll(".row")].find((row) => row.dataset.document < fresh.dataset.document);
        rows.insertBefore(fresh, older ?? rows.querySelector(".more"));
      }
    }
  }

  // The first page again. Pages that were opened below it stay as they are.
  function merge(content) {
    if (content.querySelector(".nothing")) {
      rows.replaceChildren(content);
      return;
    }
    if (!rows.dataset.extended) {
      for (const row of rows.querySelectorAll(".row")) if (!content.getElementById(row.id)) row.remove();
    }
    place(content);
  }

  async function fetchPart(url) {
    const answer = await fetch(url, { headers: { "HX-Request": "true" }, credentials: "same-origin" });
    if (signedOut(answer.headers.get("HX-Redirect"))) return null;
    return answer.ok ? answer.text() : null;
  }

  const waiting = new Map();

  // At most one request per document and half second, however many events arrive; the last event is never lost.
  function soon(key, action) {
    if (waiting.has(key)) { waiting.get(key).again = true; return; }
    const entry = { again: false };
    waiting.set(key, entry);
    Promise.resolve().then(action).catch(() => {}).then(() => setTimeout(() => {
      waiting.delete(key);
      if (entry.again) soon(key, action);
    }, 500));
  }

  function refreshRow(id) {
    soon(`row-${id}`, async () => {
      const html = await fetchPart(rows.dataset.rowUrl.replace("00000000-0000-0000-0000-000000000000", id));
      if (html) place(fragment(html));
    });
  }

  function refreshProgress() {
    soon("progress", async () => {
      const before = progress().dataset.status;
      await window.htmx.ajax("GET", progress().dataset.partUrl, { target: "#progress", swap: "outerHTML" });
      const after = progress()?.dataset.status;
      if (after !== before && FINISHED.has(after)) announce(document.querySelector("#facts .state").textContent);
      // Buttons outside the part (search in it) belong to a finished document: show them without a reload by hand.
      if (after !== before && after === "ready") location.reload();
    });
  }

  // Everything, where single events are not to be had.
  function refreshAll() {
    if (rows) soon("rows", async () => {
      const html = await fetchPart(location.href);
      if (html !== null) merge(fragment(html));
    });
    if (progress()) refreshProgress();
  }

  // --- events ----------------------------------------------------------------------------------------------

  // Numbers are put in place; only a change of state asks the server.
  function patch(row, data) {
    if (row.dataset.status !== data.status || !row.querySelector(".steps")) return false;
    for (const part of row.querySelectorAll("[data-stage]")) part.dataset.stage = data.stage ?? "";
    row.querySelector(".amount").textContent = data.total ? `${data.done} of ${data.total}` : "";
    return true;
  }

  function changed(event) {
    const data = event.data ?? {};
    if (progress()?.dataset.document === event.id) refreshProgress();
    if (!rows) return;
    const row = rowOf(event.id);
    if (row ? !patch(row, data) : !isFiltered()) refreshRow(event.id);
  }

  function deleted(event) {
    rowOf(event.id)?.remove();
    if (rows && !rows.children.length) refreshAll();
    if (progress()?.dataset.document === event.id) location.assign("/documents");
  }

  // --- the socket, and what happens without it ---------------------------------------------------------------

  const POLL_EVERY = 4000;
  // The last event that this page shows. It begins with the one that its rendering knew of.
  let seq = live?.dataset.seq ?? 0;
  let attempt = 0;
  let opened = false;
  let pollTimer = 0;

  function show(state, words) {
    if (!live) return;
    live.hidden = false;
    live.dataset.live = state;
    live.textContent = words;
  }

  function poll(on) {
    clearInterval(pollTimer);
    if (!on) return;
    show("polling", "Checking every few seconds");
    pollTimer = setInterval(() => { if (!document.hidden) refreshAll(); }, POLL_EVERY);
  }

  function connect() {
    const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws?after=${seq}`);
    socket.addEventListener("open", () => {
      poll(false);
      attempt = 0;
      opened = true;
      show("open", "Live");
    });
    socket.addEventListener("message", (message) => {
      const event = parsed(message.data);
      if (!event) return;
      seq = event.seq;
      if (event.type === "document.changed") changed(event);
      if (event.type === "document.deleted") deleted(event);
      // More was missed than the hub has kept.
      if (event.type === "reload") refreshAll();
    });
    socket.addEventListener("close", (closing) => {
      if (closing.code === 4401 || closing.code === 4403) { poll(true); return; }
      attempt += 1;
      if (attempt > 1 || opened) poll(true);
      const wait = Math.min(30000, 500 * 2 ** Math.min(attempt, 6));
      setTimeout(connect, wait * (0.5 + Math.random() / 2));
    });
  }

  if (rows || progress()) connect();

  // --- sending files -----------------------------------------------------------------------------------------

  const AT_ONCE = 3;
  const queue = [];
  let sending = 0;

  function readable(bytes) {
    return bytes >= 1048576 ? `${Math.round(bytes / 1048576)} MB` : `${Math.max(1, Math.round(bytes / 1024))} KB`;
  }

  function offer(files) {
    for (const file of files) {
      const item = document.getElementById("sending-item").content.firstElementChild.cloneNode(true);
      item.querySelector("bdi").textContent = file.name;
      item.querySelector("progress").setAttribute("aria-label", `Sending ${file.name}`);
      document.getElementById("sending").append(item);
      if (file.size > Number(drop.dataset.maxBytes)) {
        refuse(item, `This file has ${readable(file.size)}; the limit is ${readable(Number(drop.dataset.maxBytes))}.`);
      } else {
        item.querySelector(".said").textContent = "Waiting";
        queue.push({ file, item });
        item.querySelector("button").onclick = () => {
          queue.splice(queue.findIndex((entry) => entry.item === item), 1);
          item.remove();
        };
      }
    }
    next();
  }

  function next() {
    while (sending < AT_ONCE && queue.length) {
      sending += 1;
      const { file, item } = queue.shift();
      send(file, item);
    }
  }

  function refuse(item, sentence) {
    item.classList.add("refused");
    item.querySelector("progress").remove();
    item.querySelector(".said").textContent = sentence;
    const button = item.querySelector("button");
    button.textContent = "Dismiss";
    button.onclick = () => item.remove();
    announce(`${item.querySelector("bdi").textContent}: ${sentence}`);
  }

  // XMLHttpRequest, because fetch still cannot tell how much of a body has gone.
  function send(file, item) {
    const request = new XMLHttpRequest();
    const bar = item.querySelector("progress");
    const said = item.querySelector(".said");
    said.textContent = "Sending";
    request.upload.addEventListener("progress", (step) => {
      if (!step.lengthComputable) return;
      bar.value = (100 * step.loaded) / step.total;
      said.textContent = step.loaded < step.total ? `${Math.floor(bar.value)} %` : "Arrived, being checked";
    });
    request.addEventListener("load", () => {
      if (signedOut(request.getResponseHeader("HX-Redirect"))) return;
      if (request.status >= 200 && request.status < 300) {
        item.remove();
        place(fragment(request.responseText));
      } else {
        refuse(item, sentenceFor(request.status, parsed(request.responseText)));
      }
    });
    request.addEventListener("error", () => refuse(item, sentenceFor(0, null)));
    request.addEventListener("abort", () => item.remove());
    request.addEventListener("loadend", () => { sending -= 1; next(); });
    item.querySelector("button").onclick = () => request.abort();
    const body = new FormData();
    body.append("file", file);
    request.open("POST", drop.action);
    request.setRequestHeader("X-CSRFToken", drop.querySelector("[name=csrfmiddlewaretoken]").value);
    request.setRequestHeader("HX-Request", "true");
    request.setRequestHeader("Accept", "text/html, application/json");
    request.send(body);
  }

  function prepareDrop() {
    const input = document.getElementById("file");
    let depth = 0;
    drop.classList.add("scripted");
    drop.querySelector(".open-chooser").addEventListener("click", () => input.click());
    input.addEventListener("change", () => { offer([...input.files]); input.value = ""; });
    drop.addEventListener("submit", (event) => { event.preventDefault(); offer([...input.files]); });
    const carriesFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
    // The whole window accepts files: a near miss must not make the browser open the file instead of the page.
    window.addEventListener("dragenter", (event) => {
      if (carriesFiles(event)) { depth += 1; drop.classList.add("over"); }
    });
    window.addEventListener("dragleave", () => {
      depth = Math.max(0, depth - 1);
      if (!depth) drop.classList.remove("over");
    });
    window.addEventListener("dragover", (event) => { if (carriesFiles(event)) event.preventDefault(); });
    window.addEventListener("drop", (event) => {
      if (!carriesFiles(event)) return;
      event.preventDefault();
      depth = 0;
      drop.classList.remove("over");
      offer([...event.dataTransfer.files]);
    });
  }

  if (drop) prepareDrop();

  // --- answers of htmx that are not fragments -------------------------------------------------------------------

  document.body.addEventListener("htmx:afterSwap", (event) => {
    if (!rows?.contains(event.detail.target) && event.detail.target !== rows) return;
    if (event.detail.target === rows) delete rows.dataset.extended;
    else rows.dataset.extended = "yes";
  });
  document.body.addEventListener("htmx:responseError", (event) => {
    tell(sentenceFor(event.detail.xhr.status, parsed(event.detail.xhr.responseText)));
  });
  document.body.addEventListener("htmx:sendError", () => tell(sentenceFor(0, null)));
})();
