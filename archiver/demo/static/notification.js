// The frame is as tall as the letter in it.
(() => {
  const frame = document.querySelector(".notification iframe");
  const fit = () => { const letter = frame.contentDocument?.documentElement; if (letter) frame.style.height = `${letter.scrollHeight + 8}px`; };
  frame.addEventListener("load", fit);
  fit();
})();
