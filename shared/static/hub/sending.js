// Sends files, those of folders too, a few at a time. `hub.js` comes first and shows what became of them.
// Names and sentences reach the page as textContent or as HTML that the server escaped; nothing else does.
"use strict";

(() => {
  const { announce, fragment, parsed, place, placeImports, sentenceFor, signedOut } = window.hub;
  const drop = document.getElementById("drop");

  // --- sending files -----------------------------------------------------------------------------------------

  const AT_ONCE = 3;
  const queue = [];
  let sending = 0;
  let paused = 0;

  function readable(bytes) {
    return bytes >= 1048576 ? `${Math.round(bytes / 1048576)} MB` : `${Math.max(1, Math.round(bytes / 1024))} KB`;
  }

  function itemFor(name) {
    const item = document.getElementById("sending-item").content.firstElementChild.cloneNode(true);
    item.querySelector("bdi").textContent = name;
    item.querySelector("progress").setAttribute("aria-label", `Sending ${name}`);
    document.getElementById("sending").append(item);
    return item;
  }

  function offer(files) {
    for (const file of files) {
      const item = itemFor(file.name);
      if (file.size > Number(drop.dataset.maxBytes)) {
        refuse(item, `This file has ${readable(file.size)}; the limit is ${readable(Number(drop.dataset.maxBytes))}.`);
      } else {
        wait(file, item);
      }
    }
    next();
  }

  function next() {
    while (!paused && sending < AT_ONCE && queue.length) {
      sending += 1;
      const { file, item } = queue.shift();
      send(file, item);
    }
  }

  // A folder may hold more files than the hub takes in a minute: the rest waits for the next one.
  function pause(file, item, seconds) {
    item.querySelector("progress").value = 0;
    wait(file, item);
    clearTimeout(paused);
    paused = setTimeout(() => { paused = 0; next(); }, 1000 * (seconds || 10));
  }

  function wait(file, item) {
    item.querySelector(".said").textContent = "Waiting";
    queue.push({ file, item });
    item.querySelector("button").onclick = () => {
      queue.splice(queue.findIndex((entry) => entry.item === item), 1);
      item.remove();
    };
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
        const content = fragment(request.responseText);
        placeImports(content);
        place(content);
      } else if (request.status === 429) {
        pause(file, item, Number(request.getResponseHeader("Retry-After")));
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

  // --- folders ---------------------------------------------------------------------------------------------------

  const endsReadably = (name) => drop.dataset.accept.split(",").some((end) => name.toLowerCase().endsWith(end));

  // Nobody chose each file of a folder, so what is no document in it is left out with a word.
  function offerFolder(name, files) {
    const visible = files.filter((file) => !file.name.startsWith("."));
    const known = visible.filter((file) => endsReadably(file.name));
    const unknown = visible.filter((file) => !endsReadably(file.name)).map((file) => file.name);
    if (!visible.length) refuse(itemFor(name), "This folder is empty.");
    if (unknown.length) {
      const shown = unknown.slice(0, 5).join(", ");
      const others = unknown.length > 5 ? ` and ${unknown.length - 5} more` : "";
      const count = unknown.length === 1 ? "1 file" : `${unknown.length} files`;
      refuse(itemFor(name), `${count} left out, because the hub cannot read this kind: ${shown}${others}.`);
    }
    offer(known);
  }

  async function walk(folder) {
    const files = [];
    const ahead = [folder];
    while (ahead.length) {
      const entry = ahead.pop();
      if (entry.isFile) {
        files.push(await new Promise((give, fail) => entry.file(give, fail)));
        continue;
      }
      const reader = entry.createReader();
      // It gives a hundred at most each time, and an empty list at the end.
      for (let some; (some = await new Promise((give, fail) => reader.readEntries(give, fail))).length;) ahead.push(...some);
    }
    return files;
  }

  // All entries first: the browser forgets them once the event is over.
  function offerDropped(transfer) {
    const folders = [];
    const files = [];
    for (const item of transfer.items) {
      const entry = item.webkitGetAsEntry?.();
      if (entry?.isDirectory) folders.push(entry);
      else if (item.kind === "file") files.push(item.getAsFile());
    }
    offer(files);
    for (const folder of folders) {
      const failed = () => refuse(itemFor(folder.name), "This folder could not be read.");
      walk(folder).then((found) => offerFolder(folder.name, found), failed);
    }
  }

  function prepareDrop() {
    const input = document.getElementById("file");
    const folder = document.getElementById("folder");
    let depth = 0;
    drop.classList.add("scripted");
    for (const button of drop.querySelectorAll(".open-chooser")) {
      button.addEventListener("click", () => document.getElementById(button.dataset.opens).click());
    }
    folder.addEventListener("change", () => {
      const [first] = folder.files;
      if (first) offerFolder(first.webkitRelativePath.split("/")[0], [...folder.files]);
      folder.value = "";
    });
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
      offerDropped(event.dataTransfer);
    });
  }

  if (drop) prepareDrop();
})();
