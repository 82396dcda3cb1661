// The only code in a widget's saved state. It fetches the other modules once per page, and retries until answered:
// on ipykernel 7.0-7.3 messages sent before the page has its subshell wait until the cell ends.
/** @typedef {{model: any, el: HTMLElement}} Context */
/** @type {{code?: Promise<any>, done?: (code: any) => void, got?: boolean, css?: string}} */
const page = (/** @type {any} */ (globalThis)["orchat DIGEST"] ??= {});
page.code ??= new Promise((done) => { page.done = done; });
/** @param {Context} context */
async function loadModules({ model, el }) {
  if (!page.got) {
    /** @param {any} m */
    const receive = (m) => {
      if (m.t !== "code" || page.got) return;
      page.got = true;
      /** @type {Record<string, string>} */
      const urls = {};
      let url = "";
      for (const [name, text] of m.modules) {
        /** @type {(found: string, name: string) => string} */
        const withUrl = (_, needed) => `"${urls[needed]}"`;
        const source = text.replace(/"\.\/([\w./]{1,80}\.js)"/g, withUrl);
        urls[name] = url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
      }
      page.css = m.css;
      page.done?.(import(url));
    };
    model.on("msg:custom", receive);
    let attempts = 0;
    const requestCode = () => {
      if (page.got || (!el.isConnected && attempts++ > 40)) clearInterval(timer);
      else model.send({ t: "code?" });
    };
    const timer = setInterval(requestCode, 250);
    requestCode();
    page.code?.finally(() => { clearInterval(timer); model.off("msg:custom", receive); });
  }
  return page.code;
}
export default {
  /** @param {Context} context */
  async render(context) { return (await loadModules(context)).render({ ...context, css: page.css }); },
};
