// The only code in a widget's saved state. It fetches the other modules once per page, and retries until answered.
// What a view sends goes over a comm of the page's own in a subshell, which is heard while a cell blocks the kernel
// (`orchat.jupyter.kernel.live_view.click_comm`); over the widget's comm where the kernel has no subshells.
/**
 * @typedef {((message: object) => void) & {isHeardAlways: () => boolean}} Send
 * @typedef {{model: any, el: HTMLElement}} Context
 */
/**
 * @type {{code?: Promise<any>, done?: (code: any) => void, got?: boolean, css?: string,
 *   comms?: WeakMap<object, Promise<any>>}}
 */
const page = (/** @type {any} */ (globalThis)["orchat DIGEST"] ??= {});
page.code ??= new Promise((done) => { page.done = done; });
page.comms ??= new WeakMap();
/** @param {any} kernel */
async function openComm(kernel) {
  await kernel.info;
  if (!kernel.supportsSubshells || kernel.commsOverSubshells === "disabled") return null;
  const comm = kernel.createComm("orchat.clicks");
  await comm.subshellStarted;
  if (!comm.subshellId) return null;
  return new Promise((done) => {
    comm.onMsg = () => done(comm);
    comm.onClose = () => done(null);
    setTimeout(done, 3000, null);
    comm.open({});
  });
}
/** @param {any} kernel */
async function findComm(kernel) {
  let opened = page.comms?.get(kernel);
  if (!opened || (await opened)?.isDisposed) { // that of a kernel that was restarted
    opened = openComm(kernel).catch(() => null);
    page.comms?.set(kernel, opened);
  }
  return opened;
}
/** @param {any} model @returns {Send} */
function createSend(model) {
  const kernel = model.widget_manager?.kernel;
  const channel = kernel && model.get("_clicks");
  /** @type {any} */
  let comm = null;
  /** @type {string[] | null} */
  let waiting = null;
  const isHeardAlways = () => Boolean(comm && !comm.isDisposed);
  /** @param {object} content */
  const send = (content) => {
    if (waiting) {
      const text = JSON.stringify(content); // what is repeated until it is answered is sent once
      if (!waiting.includes(text)) waiting.push(text);
    } else if (isHeardAlways()) comm.send({ channel, content });
    else model.send(content);
  };
  if (channel) {
    waiting = [];
    const sendWaiting = () => {
      const messages = waiting ?? [];
      waiting = null;
      for (const each of messages) send(JSON.parse(each));
    };
    setTimeout(sendWaiting, 500); // a page that is loaded while a cell runs learns of the kernel's subshells at its end
    void findComm(kernel).then((found) => {
      comm = found;
      sendWaiting();
    });
  }
  return Object.assign(send, { isHeardAlways });
}
/** @param {Context} context @param {Send} send */
async function loadModules({ model, el }, send) {
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
      else send({ t: "code?" });
    };
    const timer = setInterval(requestCode, 250);
    requestCode();
    page.code?.finally(() => { clearInterval(timer); model.off("msg:custom", receive); });
  }
  return page.code;
}
export default {
  /** @param {Context} context */
  async render(context) {
    const send = createSend(context.model);
    return (await loadModules(context, send)).render({ ...context, send, css: page.css });
  },
};
