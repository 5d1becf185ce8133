// The account first, then the country, then the button [C].
(async () => {
  const list = document.querySelector(".full-page-account-switcher-accounts");
  const confirm = document.querySelector('kat-button[data-test="confirm-selection"]');
  const row = (label, extra, act) => {
    const button = element("button", { type: "button", class: "full-page-account-switcher-account-details" },
      element("span", { class: "full-page-account-switcher-account-label" }, label));
    button.addEventListener("click", act);
    return element("div", { class: `full-page-account-switcher-account ${extra}` }, button);
  };
  const mark = (chosen) => {
    for (const other of list.querySelectorAll(".full-page-account-switcher-account-selected")) other.classList.remove("full-page-account-switcher-account-selected");
    chosen.classList.add("full-page-account-switcher-account-selected");
  };
  let ids = null;
  const found = await read("/account-switcher/accounts/merchantMarketplace?");
  for (const account of found.accounts) {
    const countries = element("div", { class: "full-page-account-switcher-children", hidden: true });
    const top = row(account.label, account.pending ? "pending" : "expandable", () => {
      if (account.pending) return;
      if (!countries.childElementCount) for (const region of account.regional) {
        const child = row(region.label + (region.selected ? ". Selected" : ""), "regional", () => { ids = region.ids; mark(child); confirm.removeAttribute("disabled"); });
        countries.append(child);
      }
      countries.hidden = !countries.hidden;
      top.classList.toggle("expanded", !countries.hidden);
    });
    list.append(top, countries);
  }
  confirm.addEventListener("click", () => {
    if (!ids) return;
    const back = new URLSearchParams(location.search).get("returnTo") || "/home";
    const target = new URL(back, location.origin);
    if (target.origin !== location.origin) target.href = `${location.origin}/home`;
    for (const [key, value] of Object.entries(ids)) target.searchParams.set(key, value);
    target.searchParams.set("ignore_selection_changed", "true");
    location.assign(target.pathname + target.search);
  });
})();
