(async () => {
  const SIZE = 10;
  const root = document.getElementById("root");
  const prefix = "hill-case-lobby-search-results-panel-";
  const columns = [["caseId", "ID"], ["status", "Status"], ["shortDescription", "Subject"], ["creationDate", "Creation date"], ["lastOutboundReply", "Last Amazon reply"], ["action", ""]].map(([name, title]) => ({ name, title }));
  const words = { PendingAmazonAction: "Work in progress", PendingMerchantAction: "Needs your attention", RESOLVED: "Answered", CLOSED: "Closed", CANCELLED: "Cancelled" };
  let text = "";
  const show = async (page) => {
    const filters = { caseOwner: "MerchantCases", ...(text ? { searchText: text } : {}) };
    const answer = await fetch("/hill/hillservice/mons-api/SearchForCases", {
      method: "POST", headers: { "content-type": "application/json" },
      body: JSON.stringify({ page: page - 1, searchPageSize: SIZE, sortBy: "CreationDate", sortByOrder: "DESC", getCountOnly: false, caseFilters: filters }),
    });
    const found = await answer.json();
    const when = (seconds) => `${zoned(seconds * 1000)} at ${new Date(seconds * 1000).toISOString().slice(11, 16)} UTC`;
    const rows = found.caseSearchResultList.map((one) => {
      const address = `/cu/case-dashboard/view-case?caseID=${one.caseId}`;
      const view = element("kat-button", { class: "hill-case-lobby-view-case-button", label: "View case", variant: "link" });
      view.addEventListener("click", () => location.assign(address));
      const closed = ["RESOLVED", "CLOSED", "CANCELLED"].includes(one.status);
      return [element("a", { href: address }, one.caseId), element("span", { class: `tag${closed ? " closed" : ""}` }, words[one.status] || one.status), one.shortDescription, when(one.creationDate), one.lastOutboundReply ? when(one.lastOutboundReply) : "No reply", view];
    });
    const table = element("kat-table", { class: "hill-case-lobby-search-results-panel" });
    const total = found.totalNumberOfResults;
    const first = total ? (page - 1) * SIZE + 1 : 0;
    const pager = element("kat-pagination", { "current-page": page, "items-per-page": SIZE, "total-items": total });
    pager.addEventListener("change", (event) => show(event.detail.page));
    const summary = element("span", { class: "pagination-display-summary" }, `Cases ${first} to ${total ? first + rows.length - 1 : 0} of ${total}`);
    root.replaceChildren(table, element("div", { class: "pager" }, summary, pager));
    table.show(columns, rows, prefix);
  };
  document.getElementById("search").addEventListener("click", () => { text = document.querySelector(".hill-case-lobby-tabs-container kat-input").value.trim(); show(1); });
  await show(1);
})();
