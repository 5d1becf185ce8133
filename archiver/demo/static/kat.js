// KAT: the site's web components, each with an open shadow root [C]. Attribute and part names of kat-pagination are
// recollections of the real component [R]. Every value is set as text, never as markup.
(() => {
  const FONT = `font: 14px/1.45 "Amazon Ember", Arial, "Liberation Sans", "Noto Sans CJK SC", "Noto Color Emoji", sans-serif;`;
  const make = (name, attributes = {}, ...children) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  };
  class Kat extends HTMLElement {
    constructor() { super(); this.attachShadow({ mode: "open" }); }
    connectedCallback() { this.draw(); }
    attributeChangedCallback() { if (this.isConnected) this.draw(); }
    fill(css, ...children) { this.shadowRoot.replaceChildren(make("style", {}, css), ...children); }
  }
  customElements.define("kat-icon", class extends Kat {
    static observedAttributes = ["name"];
    draw() {
      const glyph = { "chevron-left": "‹", "chevron-right": "›", search: "⌕" }[this.getAttribute("name")] || "•";
      this.fill("i{font-style:normal}", make("i", { part: "icon", "aria-hidden": "true" }, glyph));
    }
  });
  customElements.define("kat-spinner", class extends Kat {
    draw() {
      this.fill(`:host{display:block;padding:28px;text-align:center} div{display:inline-block;width:26px;height:26px;border:3px solid #d5dbdb;border-top-color:#008296;border-radius:50%;animation:t 1s linear infinite} @keyframes t{to{transform:rotate(360deg)}}`, make("div", { role: "progressbar" }));
    }
  });
  customElements.define("kat-alert", class extends Kat {
    draw() { this.fill(`div{${FONT} padding:12px 16px;border-left:5px solid #cc7a00;background:#fff6e6}`, make("div", { role: "alert" }, make("slot"))); }
  });
  customElements.define("kat-box", class extends Kat {
    draw() { if (!this.shadowRoot.firstChild) this.fill(`:host{display:block}`, make("slot")); }
  });
  customElements.define("kat-button", class extends Kat {
    static observedAttributes = ["label", "disabled", "variant"];
    draw() {
      const button = make("button", { type: "button", part: "button", class: `button ${this.getAttribute("variant") || "primary"}` }, this.getAttribute("label") || "");
      button.disabled = this.hasAttribute("disabled");
      this.fill(`:host{display:inline-block} button{${FONT} padding:6px 16px;border-radius:4px;border:1px solid #008296;background:#008296;color:#fff;cursor:pointer} .secondary,.link{background:#fff;color:#0f1111;border-color:#a2a6a6} .link{border-color:transparent;color:#008296;padding:4px 0} button:disabled{opacity:.45;cursor:default}`, button);
    }
    connectedCallback() {
      super.connectedCallback();
      // A disabled button swallows the click even when the host is the target.
      this.addEventListener("click", (event) => { if (this.hasAttribute("disabled")) event.stopImmediatePropagation(); }, true);
    }
  });
  customElements.define("kat-input", class extends Kat {
    draw() {
      const input = make("input", { type: this.getAttribute("type") || "text", part: "input", placeholder: this.getAttribute("placeholder") || "", "aria-label": this.getAttribute("placeholder") || "" });
      this.fill(`:host{display:inline-block;min-width:300px} input{${FONT} width:100%;box-sizing:border-box;padding:6px 10px;border:1px solid #a2a6a6;border-radius:4px}`, input);
    }
    get value() { return this.shadowRoot.querySelector("input").value; }
  });
  customElements.define("kat-link", class extends Kat {
    static observedAttributes = ["label", "href"];
    draw() { this.fill(`a{${FONT} color:#007185;text-decoration:none} a:hover{text-decoration:underline}`, make("a", { part: "link", href: this.getAttribute("href") || "#" }, this.getAttribute("label") || "")); }
  });
  customElements.define("kat-table", class extends Kat {
    draw() { if (!this.rows) this.show([], []); }
    // columns: [{name, title}]; rows: arrays of text or element. The cells are in the shadow root.
    show(columns, rows, prefix = "") {
      this.rows = rows;
      const head = make("tr", { part: "table-header-row" }, ...columns.map((c) => make("th", { scope: "col" }, c.title)));
      const body = rows.map((row) => make("tr", { part: "table-row", class: "kat-table-row" }, ...row.map((cell, n) => make("td", { class: prefix + columns[n].name }, cell))));
      this.fill(`:host{display:block} table{${FONT} width:100%;border-collapse:collapse} th{text-align:left;background:#f3f5f6;color:#37475a;font-size:12px;padding:10px 12px;border-bottom:1px solid #d5dbdb} td{padding:11px 12px;border-bottom:1px solid #e7eaec;vertical-align:top} tr:hover td{background:#f7fafa} a{color:#007185;text-decoration:none} .tag{padding:1px 8px;border-radius:9px;background:#e6f3f4;font-size:12px;white-space:nowrap} .tag.closed{background:#eceff0;color:#565959} td[class*=Date],td[class*=Reply],td[class$=date],td[class$=action]{white-space:nowrap;color:#37475a}`,
        make("table", { part: "table" }, make("thead", {}, head), make("tbody", {}, ...body)));
    }
  });
  customElements.define("kat-pagination", class extends Kat {
    static observedAttributes = ["current-page", "items-per-page", "total-items"];
    number(name, otherwise) { return Number(this.getAttribute(name) || otherwise); }
    draw() {
      const page = this.number("current-page", 1);
      const last = Math.max(1, Math.ceil(this.number("total-items", 0) / this.number("items-per-page", 10)));
      const turn = (to) => {
        if (to < 1 || to > last || to === page) return;
        this.setAttribute("current-page", to);
        this.dispatchEvent(new CustomEvent("change", { bubbles: true, composed: true, detail: { page: to } }));
      };
      const arrow = (side, to) => {
        const off = to < 1 || to > last;
        const span = make("span", { part: `pagination-nav-${side}`, class: `nav item${off ? " disabled" : ""}`, role: "button", tabindex: off ? "-1" : "0", "aria-label": side === "left" ? "Go to previous page" : "Go to next page", "aria-disabled": String(off) }, make("kat-icon", { name: `chevron-${side}`, size: "small" }));
        span.addEventListener("click", () => turn(to));
        return span;
      };
      const shown = [...new Set([1, page - 1, page, page + 1, last])].filter((n) => n >= 1 && n <= last).sort((a, b) => a - b);
      const list = make("ul", { class: "pages", part: "pagination-pages" });
      shown.forEach((n, place) => {
        if (place && n - shown[place - 1] > 1) list.append(make("li", { class: "item ellipsis" }, "…"));
        const item = make("li", { class: `item${n === page ? " selected" : ""}`, part: `pagination-page-${n}`, role: "button", "data-page": n, ...(n === page ? { "aria-current": "page" } : {}) }, String(n));
        item.addEventListener("click", () => turn(n));
        list.append(item);
      });
      this.fill(`:host{display:inline-block} nav,ul{${FONT} display:flex;align-items:center;gap:4px;margin:0;padding:0;list-style:none} .item{min-width:30px;text-align:center;padding:4px 6px;border-radius:4px;cursor:pointer;color:#007185;user-select:none} .selected{background:#008296;color:#fff} .disabled{color:#b7bcbc;cursor:default} .ellipsis{cursor:default;color:#565959}`,
        make("nav", { "aria-label": "pagination" }, arrow("left", page - 1), list, arrow("right", page + 1)));
    }
  });
})();
