"use strict";

const KEYS = ["Enter", "Tab", "Backspace", "Delete", "Escape", "ArrowLeft", "ArrowUp", "ArrowRight", "ArrowDown", "Home", "End"];
const at = id => document.getElementById(id);
const live = at("live");
let socket = null;
let next = 1;
let ends = 0;
let shown = "";

function end(words) {
    document.body.classList.add("over");
    at("note").textContent = words;
    if (socket) { socket.onclose = null; socket.close(); socket = null; }
}

function send(done) {
    if (socket && socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ n: next++, ...done }));
}

function receive(event) {
    if (typeof event.data !== "string") {
        const before = shown;
        shown = URL.createObjectURL(event.data);
        live.onload = () => { if (before) URL.revokeObjectURL(before); };
        live.src = shown;
        return;
    }
    const told = JSON.parse(event.data);
    if (told.next) next = told.next;
    if (told.over) end(document.body.dataset.over);
    if (told.what) {
        at("what").textContent = told.what;
        at("account").textContent = told.account;
        ends = Date.now() + told.left_s * 1000;
        tick();
    }
}

function tick() {
    if (!ends) return;
    const left = Math.max(0, Math.round((ends - Date.now()) / 1000));
    at("left").textContent = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
    if (!left) end(document.body.dataset.late);
}

function connect() {
    socket = new WebSocket(location.origin.replace(/^http/, "ws") + "/live");
    socket.binaryType = "blob";
    socket.onmessage = receive;
    socket.onclose = () => end(document.body.dataset.lost);
}

async function open() {
    const token = location.hash.slice(1);
    // The token is good once; it does not stay in the address or in the history.
    history.replaceState(null, "", "/");
    if (token) {
        const answer = await fetch("/redeem", { method: "POST", body: token });
        if (!answer.ok) return end(await answer.text());
    }
    connect();
}

live.addEventListener("click", event => {
    if (!live.naturalWidth) return;
    const scale = live.naturalWidth / live.clientWidth;
    const box = live.getBoundingClientRect();
    send({ kind: "click", x: (event.clientX - box.left) * scale, y: (event.clientY - box.top) * scale });
    live.focus({ preventScroll: true });
});
live.addEventListener("keydown", event => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (KEYS.includes(event.key)) send({ kind: "key", key: event.key });
    else if ([...event.key].length === 1) send({ kind: "text", text: event.key });
    else return;
    event.preventDefault();
});
live.addEventListener("paste", event => {
    const text = event.clipboardData.getData("text").slice(0, 200);
    if (text) send({ kind: "text", text });
    event.preventDefault();
});
live.addEventListener("wheel", event => {
    send({ kind: "scroll", dy: event.deltaY });
    event.preventDefault();
}, { passive: false });
at("typing").addEventListener("submit", event => {
    event.preventDefault();
    if (at("text").value) send({ kind: "text", text: at("text").value });
    at("text").value = "";
});
for (const button of document.querySelectorAll("[data-key]"))
    button.addEventListener("click", () => send({ kind: "key", key: button.dataset.key }));
setInterval(tick, 1000);
open();
