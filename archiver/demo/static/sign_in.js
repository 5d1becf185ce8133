// The cookie warning is in the markup of every healthy page; a browser that keeps cookies never shows it.
document.cookie = "a-ogbcbff=1; path=/";
if (navigator.cookieEnabled) document.getElementById("auth-cookie-warning-message").style.display = "none";
const mine = document.querySelector(".auth-autofocus");
if (mine) mine.focus();
for (const form of document.querySelectorAll("form.auth-validate-form")) {
  form.addEventListener("submit", (event) => {
    const empty = [...form.querySelectorAll("input.auth-required-field")].find((input) => !input.value);
    if (!empty) return;
    event.preventDefault();
    const alert = form.querySelector(`#auth-${empty.name}-missing-alert`);
    if (alert) alert.classList.remove("aok-hidden");
  });
}
