// The frame of every page: the reads every page makes, and the background noise that nobody needs [L].
window.read = async (path) => {
  const answer = await fetch(path, { headers: { accept: "application/json" }, credentials: "same-origin" });
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
};
window.element = (name, attributes = {}, ...children) => {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) if (value !== null && value !== false) made.setAttribute(key, value === true ? "" : value);
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
};
window.bytes = (count) => count < 1024 ? `${count} B` : `${(count / 1024).toFixed(0)} KB`;
window.zoned = (ms, withTime) => new Intl.DateTimeFormat("en-US", {
  timeZone: "UTC", year: "numeric", month: "long", day: "2-digit", ...(withTime ? { hour: "numeric", minute: "2-digit" } : {}),
}).format(new Date(ms));
(() => {
  const quietly = (promise) => promise.catch((problem) => console.debug("background request refused", problem.message));
  const post = (path, body) => quietly(fetch(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) }));
  const page = location.pathname;
  post("/tricorder/e/", { page, event: "pageLoad" });
  post("/tricorder/decide/", { page });
  post("/pulse/v1/question", { page });
  post("/home/app-monitoring", { page, level: "info" });
  post("/mons/weblabs/merchant/trigger", { weblab: "SC_NAV_914301" });
  navigator.sendBeacon("/unagi-eu.amazon.com/1/events/com.amazon.csm.csa.prod", JSON.stringify({ page, type: "csa" }));
  for (const path of [
    `/trim/json/favorites/sellerCentral?currentPath=${encodeURIComponent(page)}`,
    "/conversation-api/v1/notifications", "/conversation-api/v1/sidebarContext",
    "/meld/mons-api/GetMarketplaceSwitcher?helpContext=FullPage",
    "/account-switcher/global-and-regional-account/merchantMarketplace?", "/inventoryplanning/check-unread-message",
  ]) quietly(read(path));
  const header = document.getElementById("ngstrim-account-switcher-dropdown");
  header.addEventListener("click", () => location.assign(`${header.dataset.href}?returnTo=${encodeURIComponent(page + location.search)}`));
})();
