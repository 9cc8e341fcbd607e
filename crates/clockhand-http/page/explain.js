// The question why a key is there, or is not.

class Explain {
  constructor(form, answer, cache) {
    this.form = form;
    this.answer = answer;
    this.cache = cache;
    this.asked = 0;
    answer.append(el("p", { class: "hint" }, "Type a key, or choose one of the hottest."));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.ask(form.elements.key.value);
    });
  }

  async ask(key) {
    this.form.elements.key.value = key;
    this.asked += 1;
    const turn = this.asked;
    const query = new URLSearchParams({ cache: this.cache, key });
    let found;
    try {
      const reply = await fetch(`cache/explain?${query}`, { cache: "no-store" });
      const body = await reply.json();
      found = reply.ok ? { sentence: body.explanation, key: body.key } : { bad: body.error.message };
    } catch {
      found = { bad: "The service does not answer." };
    }
    // An answer that was overtaken by another question is not shown.
    if (turn === this.asked) this.show(found);
  }

  show({ sentence, key, bad }) {
    const said = el("p", { class: "sentence", dir: "auto" }, bad ?? sentence);
    if (bad) said.dataset.bad = "";
    const about = key === undefined ? [] : [el("p", { class: "about", dir: "auto", "data-id": "asked" }, key)];
    this.answer.replaceChildren(said, ...about);
    this.answer.scrollTop = 0;
  }
}
