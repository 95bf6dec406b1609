// Follows documents over the websocket, and asks again by itself where the socket is down. Says what is opened of a
// search's results. `sending.js` sends files.
// Names and sentences reach the page as textContent or as HTML that the server escaped; nothing else does.
"use strict";

(() => {
  const rows = document.getElementById("rows");
  const imports = document.getElementById("imports");
  const progress = () => document.getElementById("progress");
  const golden = document.getElementById("golden");
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
    for (const fresh of [...content.querySelectorAll(".row[data-document]")]) {
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

  // What was unfolded stays so.
  function placeImports(content) {
    for (const fresh of [...content.querySelectorAll(".import")]) {
      const old = document.getElementById(fresh.id);
      const unfolded = old?.querySelector("details")?.open;
      if (unfolded && fresh.querySelector("details")) fresh.querySelector("details").open = true;
      if (old && old.dataset.state !== fresh.dataset.state && ["done", "failed"].includes(fresh.dataset.state)) {
        announce(`${titleOf(fresh)}: ${fresh.querySelector(".state").textContent}`);
      }
      if (old) old.replaceWith(fresh); else imports.prepend(fresh);
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

  function refreshImport(id) {
    soon(`import-${id}`, async () => {
      const html = await fetchPart(imports.dataset.rowUrl.replace("00000000-0000-0000-0000-000000000000", id));
      if (html) placeImports(fragment(html));
    });
  }

  function refreshProgress() {
    soon("progress", async () => {
      const before = progress().dataset.status;
      await window.htmx.ajax("GET", progress().dataset.partUrl, { target: "#progress", swap: "outerHTML" });
      const after = progress()?.dataset.status;
      if (after !== before && FINISHED.has(after)) announce(document.querySelector("#facts .state").textContent);
    });
  }

  // Nothing in it is typed into, so it is put in its place whole.
  function refreshGolden() {
    soon("golden", async () => {
      const html = await fetchPart(location.href);
      if (html === null) return;
      const focused = golden.contains(document.activeElement) ? document.activeElement.id : "";
      const before = golden.querySelector("[data-said]")?.textContent;
      golden.replaceChildren(fragment(html));
      if (focused) document.getElementById(focused)?.focus();
      const after = golden.querySelector("[data-said]")?.textContent;
      if (after && after !== before) announce(after.trim().replace(/\s+/g, " "));
    });
  }

  // Everything, where single events are not to be had.
  function refreshAll() {
    if (rows) soon("rows", async () => {
      const html = await fetchPart(location.href);
      if (html !== null) merge(fragment(html));
    });
    for (const row of imports?.querySelectorAll("[data-state=queued][data-import], [data-state=running][data-import]") ?? []) {
      refreshImport(row.dataset.import);
    }
    if (progress()) refreshProgress();
    if (golden) refreshGolden();
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
      if (event.type === "import.changed" && imports) refreshImport(event.id);
      if (/^(golden|search)\./.test(event.type) && golden) refreshGolden();
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

  if (rows || progress() || golden) connect();

  // --- what is opened of a search's results ------------------------------------------------------------------

  // A beacon outlives the page that the link leaves.
  function noteOpened(event) {
    const link = event.target.closest("a[data-chunk]");
    const form = document.getElementById("click");
    if (!link || !form || event.button > 1) return;
    const said = new FormData(form);
    said.set("chunk_id", link.dataset.chunk);
    said.set("document_id", link.dataset.document);
    navigator.sendBeacon(form.action, said);
  }

  document.addEventListener("click", noteOpened);
  document.addEventListener("auxclick", noteOpened);

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

  window.hub = { announce, fragment, parsed, place, placeImports, sentenceFor, signedOut };
})();
