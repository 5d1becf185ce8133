(async () => {
  const SIZE = 10;
  const root = document.getElementById("root");
  const show = async (page) => {
    const found = await read(`/performance/api/notification?pageSize=${SIZE}&pageNumber=${page}&sortBy=NewestToOldest&filterBy=Any`);
    const table = element("kat-table", { class: "notifications-list" });
    const rows = found.list.map((one) => [element("a", { href: `/performance/notifications/${one.id}` }, one.content.subject), zoned(one.content.created, true)]);
    const pager = element("kat-pagination", { "current-page": page, "items-per-page": SIZE, "total-items": found.totalCount });
    pager.addEventListener("change", (event) => show(event.detail.page));
    root.replaceChildren(table, element("div", { class: "pager" }, element("span", { class: "text-secondary" }, `${found.totalCount} notifications`), pager));
    table.show([{ name: "subject", title: "Subject" }, { name: "date", title: "Date received" }], rows, "notification-");
  };
  await show(1);
})();
