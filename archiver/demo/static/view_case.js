(async () => {
  const root = document.getElementById("root");
  const query = new URLSearchParams(location.search);
  const id = query.get("caseID") || "";
  const answer = await fetch(`/hill/hillservice/mons-api/ViewCase?caseId=${encodeURIComponent(id)}&timeZone=UTC&pageSize=50`);
  if (!answer.ok) {
    root.replaceChildren(element("kat-alert", { variant: "warning" }, "You do not have permission to view this case."));
    return;
  }
  const found = await answer.json();
  const facts = found.viewCaseMetaData;
  const words = { PendingAmazonAction: "Work in progress", PendingMerchantAction: "Needs your attention", RESOLVED: "Answered", CLOSED: "Closed" };
  const stamp = (seconds) => `${zoned(seconds * 1000)} at ${new Date(seconds * 1000).toISOString().slice(11, 16)} UTC`;
  const contact = (one) => {
    const body = element("div", { class: "contact-message" });
    if (one.messageList) {
      body.append(...one.messageList.map((line) => element("div", { class: "chat-line" }, `${line.sender}: ${line.message}`)));
      // What the case tool sends is markup; this is the only place that sets any.
    } else body.innerHTML = one.message;
    const files = (one.attachments || []).map((file) => element("li", {}, element("a", { href: file.attachmentUrl, download: file.attachmentName }, file.attachmentName), element("span", { class: "text-secondary" }, ` ${bytes(file.attachmentSize)}`)));
    const card = element("article", { class: `contact ${one.outbound ? "from-amazon" : "from-seller"}` },
      element("div", { class: "contact-head" }, element("b", {}, one.outbound ? "Amazon" : one.sender), element("time", { class: "text-secondary" }, stamp(one.timestamp)), element("span", { class: "text-secondary channel" }, one.channelType === "CHAT" ? "Chat" : "E-mail")),
      body, files.length ? element("div", { class: "attachments" }, element("b", {}, "Attachments:"), element("ul", {}, ...files)) : null);
    return { card, body };
  };
  const cards = (found.contactList ?? found.contacts).map(contact);
  const reply = facts.canEditCase ? element("div", { class: "view-case-reply-buttons-container" }, ...["Reply", "Close this case", "Escalate this case"].map((label, n) => {
    const button = element("kat-button", { label, variant: n ? "secondary" : "primary" });
    button.addEventListener("click", () => fetch(`/hill/hillservice/mons-api/${["ReplyCase", "CloseCase", "EscalateCase"][n]}`, { method: "POST", headers: { "content-type": "application/json", "client-id": "viewCase" }, body: JSON.stringify({ caseId: id }) }));
    return button;
  })) : element("p", { class: "text-secondary" }, "This case has been closed.");
  root.replaceChildren(
    element("a", { class: "back", href: "/cu/case-lobby" }, "Back to case log"), element("h1", {}, facts.caseTitle),
    element("div", { class: "case-grid" },
      element("div", {}, reply, element("div", { class: "contacts" }, ...cards.map((one) => one.card))),
      element("aside", { class: "panel case-summary" }, element("h3", {}, "Case Summary"), element("p", { class: "text-secondary" }, `ID ${id}`),
        element("p", {}, `ID: ${id}`), element("p", {}, `Status: ${words[facts.caseStatus] || facts.caseStatus}`), element("p", {}, `Created: ${stamp(facts.creationDate)}`),
        element("p", {}, `Primary E-mail: ${facts.primaryEmail}`), element("p", {}, `Contacts: ${found.totalNumberOfContacts}`))));
  for (const { card, body } of cards) {
    // A long letter is folded until someone asks for the rest.
    if (body.scrollHeight <= 330) continue;
    body.classList.add("folded");
    const more = element("a", { class: "link", role: "button", tabindex: 0 }, "See more");
    more.addEventListener("click", () => { body.classList.remove("folded"); more.remove(); });
    card.insertBefore(more, body.nextSibling);
  }
})();
