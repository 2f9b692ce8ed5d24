"use strict";

// Posts the chosen outcome and goes where the answer says. Without this script
// the form does the same with a plain POST and a redirect.
(() => {
  const form = document.getElementById("run");
  const fieldset = form.querySelector("fieldset");
  const intro = document.getElementById("intro");
  const result = document.getElementById("result");
  const onward = document.getElementById("onward");

  const texts = {
    PASS: form.dataset.success,
    FAIL: form.dataset.failure,
    DENIED: form.dataset.failure,
    ABANDONED: form.dataset.abandoned,
  };

  function say(text, kind) {
    result.textContent = text;
    result.dataset.kind = kind;
    result.focus();
  }

  function finish(answer) {
    if (answer.status === "ABANDONED") {
      fieldset.disabled = false;
      say(texts.ABANDONED, "neutral");
      return;
    }
    form.hidden = true;
    intro.hidden = true;
    say(texts[answer.status], answer.status === "PASS" ? "good" : "bad");
    if (!answer.redirect_url) {
      return;
    }
    // Stays visible where no app answers to the scheme.
    onward.querySelector("a").href = answer.redirect_url;
    onward.hidden = false;
    window.location.assign(answer.redirect_url);
  }

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const outcome = event.submitter.value;
    fieldset.disabled = true;
    try {
      const response = await fetch(form.getAttribute("action"), {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ outcome }),
      });
      const answer = await response.json();
      if (!response.ok) {
        fieldset.disabled = false;
        say(answer.error, "bad");
        return;
      }
      finish(answer);
    } catch {
      fieldset.disabled = false;
      say("The sandbox did not answer. Please try again.", "bad");
    }
  });
})();
