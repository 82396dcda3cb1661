// The only code in a widget's saved state. It fetches the rest once per page, and asks until it is answered:
// on ipykernel 7.0-7.3 what is sent before the page has its subshell waits until the cell ends.
/** @typedef {{model: any, el: HTMLElement}} Context */
/** @type {{code?: Promise<any>, done?: (code: any) => void, got?: boolean, css?: string}} */
const page = (/** @type {any} */ (globalThis)["orchat DIGEST"] ??= {});
page.code ??= new Promise((done) => { page.done = done; });
/** @param {Context} context */
async function code({ model, el }) {
  if (!page.got) {
    /** @param {any} m */
    const take = (m) => {
      if (m.t !== "code" || page.got) return;
      page.got = true;
      /** @type {Record<string, string>} */
      const at = {};
      let url = "";
      for (const [name, text] of m.modules) {
        /** @type {(found: string, name: string) => string} */
        const moved = (_, needed) => `"${at[needed]}"`;
        const whole = text.replace(/"\.\/([\w./]+\.js)"/g, moved);
        at[name] = url = URL.createObjectURL(new Blob([whole], { type: "text/javascript" }));
      }
      page.css = m.css;
      page.done?.(import(url));
    };
    model.on("msg:custom", take);
    let asked = 0;
    const ask = () => {
      if (page.got || (!el.isConnected && asked++ > 40)) clearInterval(timer);
      else model.send({ t: "code?" });
    };
    const timer = setInterval(ask, 250);
    ask();
    page.code?.finally(() => { clearInterval(timer); model.off("msg:custom", take); });
  }
  return page.code;
}
export default {
  /** @param {Context} context */
  async render(context) { return (await code(context)).render({ ...context, css: page.css }); },
};
