/** Keeps all files of the built gallery, so that it opens without a network. `offline.ts` puts the list of files in. */

interface FetchEvent extends Event {
  readonly request: Request;
  respondWith(answer: Promise<Response>): void;
}

interface LifeEvent extends Event {
  waitUntil(work: Promise<unknown>): void;
}

/** TypeScript's own types of a service worker exclude those of a page. */
interface Scope {
  readonly registration: { readonly scope: string };
  readonly clients: { claim(): Promise<void> };
  addEventListener(type: "install" | "activate", hear: (event: LifeEvent) => void): void;
  addEventListener(type: "fetch", hear: (event: FetchEvent) => void): void;
}

const NAME = "tfjs-convex-gallery-";
const { version, files } = JSON.parse("FILES") as { version: string; files: string[] };
const cacheName = NAME + version;
const scope = self as unknown as Scope;

scope.addEventListener("install", (event) => event.waitUntil(keepAll()));
scope.addEventListener("activate", (event) => event.waitUntil(dropOlder().then(() => scope.clients.claim())));
scope.addEventListener("fetch", (event) => {
  const { method, url } = event.request;
  if (method === "GET" && url.startsWith(scope.registration.scope)) event.respondWith(answer(event.request));
});

async function keepAll(): Promise<void> {
  const cache = await caches.open(cacheName);
  await cache.addAll(files);
}

async function dropOlder(): Promise<void> {
  const names = await caches.keys();
  const older = names.filter((name) => name.startsWith(NAME) && name !== cacheName);
  await Promise.all(older.map((name) => caches.delete(name)));
}

/** What was kept, else what the network has. A server may say that a file varies by the origin that asks: these don't. */
async function answer(request: Request): Promise<Response> {
  const cache = await caches.open(cacheName);
  const page = request.mode === "navigate" ? await cache.match("./index.html") : undefined;
  return page ?? (await cache.match(request, { ignoreVary: true })) ?? fetch(request);
}
