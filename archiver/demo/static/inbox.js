(async () => {
  const api = "/messaging/api/global";
  const root = document.getElementById("messaging-root");
  const query = new URLSearchParams(location.search);
  const deep = query.get("fi") === "caseId" ? query.get("cc") || query.get("ss") : null;
  const folders = [["all", "All", "filter=ALL&sortDirection=DESCENDING"], ["responseNeeded", "Response Needed", "filterList=ACTION_NEEDED&sortDirection=ASCENDING"], ["sent", "Sent Messages", null], ["resolved", "Resolved", null], ["reportedUnresolved", "Reported Unresolved", "filterList=REPORTED_UNRESOLVED&sortDirection=ASCENDING"]];
  const metrics = [["Cases requiring attention", "contactsRequireAttention", 30], ["Response needed", "contactsResponseNeeded", 30], ["Reported unresolved", "contactsReportedUnresolved", 30], ["Resolved", "contactsResolved", 30], ["Resolved today", "contactsResolved", 1]];

  const nav = element("nav", { class: "folders" }, element("h2", {}, "Messages"));
  const cards = element("div", { class: "metrics" });
  const list = element("kat-box", { class: "case-list" });
  const pane = element("section", { class: "thread-pane" });
  // A narrow window gets no list at all [C].
  const wide = window.innerWidth >= 1400;
  const columns = element("div", { class: `columns${wide ? "" : " narrow"}` }, nav, wide ? list : null, pane);
  root.replaceChildren(cards, columns);

  const skeleton = (count) => Array.from({ length: count }, () => element("div", { class: "skeleton", "aria-hidden": "true" }));
  const rowStyle = element("style", {}, `
    :host{display:block} .filters{display:flex;justify-content:space-between;padding:12px 14px;border-bottom:1px solid #e7eaec;color:#565959;font-size:13px}
    .case-row{display:block;width:100%;box-sizing:border-box;padding:12px 14px;border:0;border-bottom:1px solid #e7eaec;border-left:4px solid transparent;background:#fff;text-align:left;font:inherit;cursor:pointer}
    .case-row:hover{background:#f7fafa} .case-row.selected{background:#eaf6f7;border-left-color:#008296}
    .top{display:flex;justify-content:space-between;gap:8px} .top time{color:#565959;font-size:12px;white-space:nowrap}
    .subject{margin:3px 0;color:#16191f;overflow:hidden;text-overflow:ellipsis;white-space:nowrap} .meta{font-size:12px;color:#565959}
    .skeleton{height:70px;margin:10px 14px;border-radius:6px;background:linear-gradient(90deg,#eef1f1,#f8f9f9,#eef1f1)}
    .list-pager{display:flex;justify-content:space-between;align-items:center;padding:12px 14px;color:#565959;font-size:13px} .empty{padding:40px 14px;text-align:center;color:#565959}`);

  const facts = element("aside", { class: "order-panel" });
  const openCase = async (id, marketplace) => {
    pane.replaceChildren(...skeleton(4));
    const where = `${api}/cases/${id}`;
    const store = `marketplaceId=${marketplace}`;
    const [templates, context, detail] = await Promise.all([read(`${where}/responsetemplates?${store}`), read(`${where}/orderContext?${store}`), read(`${where}?${store}`)]);
    const one = detail.partyCase;
    const order = context.orderContextList[0];
    const product = order.productContextFields[0];
    const fact = (label, value) => element("p", {}, element("span", { class: "text-secondary" }, label), element("br"), value);
    facts.replaceChildren(element("h3", {}, "Order details"), ...order.orderContextFields.map((field) => fact("Order ID", field.textValue)), fact("Product", product.productName), fact("ASIN", product.asinId), fact("Total", product.orderTotal), fact("Store", one.marketplaceDisplayName), fact("Buyer’s language", templates.buyerLop));
    const bubble = (artifact) => element("article", { class: `artifact ${artifact.isRequestedPartySender ? "ours" : "theirs"}` },
      element("div", { class: "artifact-head" }, element("b", {}, artifact.isRequestedPartySender ? "You" : one.buyerName), element("time", { class: "text-secondary" }, artifact.formattedDate)),
      element("div", { class: "message-body" }, artifact.message.messageBody),
      artifact.attachments.length ? element("ul", { class: "attachments" }, ...artifact.attachments.map((file) => element("li", {}, element("a", { href: file.url, download: file.fileName }, file.fileName), element("span", { class: "text-secondary" }, ` ${bytes(file.size)}`)))) : null);
    const label = one.status === "SOLVED" ? `Resolved on ${one.formattedResolveDate}` : one.topic;
    const messages = element("div", { class: "message-list" }, ...one.caseArtifacts.map(bubble));
    const solve = element("kat-button", { label: "Mark as resolved", variant: "secondary" });
    solve.addEventListener("click", () => fetch(`${where}/caseStatus?${store}`, { method: "POST", body: "SOLVED" }));
    const send = element("kat-button", { label: "Send" });
    send.addEventListener("click", () => fetch(`${where}/artifacts/message?${store}`, { method: "POST", body: "{}" }));
    pane.replaceChildren(
      element("div", { class: "thread" },
        element("header", { class: "thread-head" }, element("div", {}, element("h2", {}, one.subject), element("span", { class: "text-secondary" }, `${one.buyerName} · ${one.marketplaceDisplayName}`)), element("span", { class: "case-status-label" }, label)),
        messages, element("div", { class: "composer" }, element("textarea", { placeholder: "Write a reply", rows: 2 }), element("div", {}, solve, send))), facts);
  };

  const choose = (one) => {
    for (const row of list.shadowRoot?.querySelectorAll(".case-row") || []) row.classList.toggle("selected", row.dataset.caseId === one.caseId);
    return openCase(one.caseId, one.marketplaceId);
  };
  const showFolder = async (folder, token = "", open = true) => {
    for (const link of nav.querySelectorAll("[data-folder]")) link.classList.toggle("selected", link.dataset.folder === folder[0]);
    if (wide) list.shadowRoot.replaceChildren(rowStyle, ...skeleton(6));
    const paging = token ? `&pageToken=${encodeURIComponent(token)}` : "";
    const found = folder[2] ? await read(`${api}/cases?${folder[2]}${paging}`) : { cases: [], nextToken: "", previousToken: "0" };
    if (wide) {
      const row = (one) => {
        const made = element("button", { class: "case-row", type: "button", "data-case-id": one.caseId, "data-marketplace-id": one.marketplaceId },
          element("div", { class: "top" }, element("b", {}, one.buyerName), element("time", {}, one.formattedLastUpdatedDate)),
          element("div", { class: "subject" }, one.subject), element("div", { class: "meta" }, `${one.topic} · ${one.marketplaceDisplayName}${one.status === "SOLVED" ? " · Resolved" : ""}`));
        made.addEventListener("click", () => choose(one));
        return made;
      };
      const turn = (label, name, to, on) => {
        const button = element("kat-button", { class: name, label, variant: "secondary", disabled: !on });
        button.addEventListener("click", () => showFolder(folder, to));
        return button;
      };
      const empty = folder[0] === "responseNeeded" ? "No messages need a response." : "No messages in this folder.";
      list.shadowRoot.replaceChildren(rowStyle, element("div", { class: "filters" }, element("span", {}, folder[1]), element("span", {}, "Filters (0)")),
        ...(found.cases.length ? found.cases.map(row) : [element("div", { class: "empty" }, empty)]),
        element("div", { class: "list-pager" }, turn("Previous", "case-list-previous", found.previousToken, token !== ""), turn("Next", "case-list-next", found.nextToken, found.nextToken !== "")));
    }
    if (!open) return;
    if (found.cases.length) await choose(found.cases[0]);
    else pane.replaceChildren(element("div", { class: "nothing" }, folder[0] === "responseNeeded" ? "No messages need a response." : "Select a message to read it."));
  };
  for (const folder of folders) {
    const link = element("a", { href: `?fi=${folder[0]}`, "data-folder": folder[0] }, folder[1]);
    link.addEventListener("click", (event) => { event.preventDefault(); history.pushState(null, "", `?fi=${folder[0]}`); showFolder(folder); });
    nav.append(link);
  }

  await read(`${api}/topics/categories?topicTypes=classifiedCaseTopics`);
  await read(`${api}/rights`);
  const wanted = folders.find((folder) => folder[0] === query.get("fi")) || folders[1];
  // Without a deep link the first list of the capture is ACTION_NEEDED.
  const listing = showFolder(deep ? folders[0] : wanted, "", !deep);
  const weblab = read("/messaging/api/weblab/marketplace?weblabName=MESSAGING_INBOX_V2");
  const overview = Promise.all(metrics.map(([, name, days]) => read(`/messaging/overview/api/metric/${name}?daysBack=${days}`)));
  const stores = read(`${api}/partnerAccounts/marketplaces`);
  const account = read(`${api}/partnerAccounts`);
  const values = await overview;
  const until = new Date(root.dataset.now);
  const short = (day) => new Intl.DateTimeFormat("en-US", { month: "short", day: "numeric", timeZone: "UTC" }).format(day);
  cards.replaceChildren(element("div", { class: "metrics-head" }, `${short(new Date(until - 30 * 864e5))} – ${short(until)}, ${until.getUTCFullYear()} global communication metrics`),
    ...metrics.map(([title], n) => element("div", { class: "metric" }, element("span", {}, title), element("b", {}, values[n].value))));
  await Promise.all([listing, weblab, account]);
  if (deep) {
    // The address names a case and no marketplace: the inbox tries those of the login [R].
    for (const store of (await stores).marketplaces) {
      const answer = await fetch(`${api}/cases/${deep}?marketplaceId=${store.marketplaceId}`);
      await answer.text(); // an answer nobody reads keeps the page loading for ever
      if (answer.ok) { await openCase(deep, store.marketplaceId); return; }
    }
    pane.replaceChildren(element("div", { class: "nothing" }, "This message is no longer available."));
  }
})();
