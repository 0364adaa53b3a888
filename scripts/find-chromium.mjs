/** Finds a Chrome or Chromium for the browser tests; on Debian as root it installs one. Prints the path. */

import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

/** Headless Chromium with WebGL2 and WebGPU on SwiftShader: the same on a machine with a GPU and without. */
export const chromiumFlags = [
  "--no-sandbox",
  "--use-gl=angle",
  "--use-angle=swiftshader",
  "--enable-unsafe-swiftshader",
  "--enable-unsafe-webgpu",
  "--use-webgpu-adapter=swiftshader",
  "--enable-features=Vulkan",
  "--disable-background-networking",
];

/** On the PATH, in this order. */
const NAMES = [
  "chromium",
  "chromium-browser",
  "google-chrome",
  "google-chrome-stable",
  "chrome",
  "microsoft-edge",
  "microsoft-edge-stable",
];

/** Where the installers of macOS and Windows put it. */
const PLACES = [
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
  "/Applications/Chromium.app/Contents/MacOS/Chromium",
  "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
  ...["ProgramFiles", "ProgramFiles(x86)", "LOCALAPPDATA"]
    .flatMap((name) => process.env[name] ?? [])
    .flatMap((folder) => [
      join(folder, "Google", "Chrome", "Application", "chrome.exe"),
      join(folder, "Chromium", "Application", "chrome.exe"),
      join(folder, "Microsoft", "Edge", "Application", "msedge.exe"),
    ]),
];

const HOW_TO_GET_ONE =
  "The browser tests need Chrome or Chromium: install one (Debian: apt-get install chromium), or set CHROME_PATH to its executable.";

/** CHROME_PATH, then the usual places; null when there is none. */
export function findChromium() {
  const asked = process.env.CHROME_PATH;
  if (asked !== undefined && asked !== "") {
    if (existsSync(asked)) return asked;
    throw new Error(`CHROME_PATH is ${asked}, where no file is: correct it or unset it.`);
  }
  const folders = (process.env.PATH ?? "").split(delimiter).filter((folder) => folder !== "");
  const candidates = [...folders.flatMap((folder) => NAMES.map((name) => join(folder, name))), ...PLACES];
  return candidates.find((path) => existsSync(path)) ?? null;
}

/** The path of a browser, installed if need be and possible. */
export function ensureChromium() {
  const found = findChromium();
  if (found !== null) return found;
  if (isDebian() && process.getuid?.() === 0) installChromium();
  const installed = findChromium();
  if (installed === null) throw new Error(HOW_TO_GET_ONE);
  return installed;
}

/** Errors are apt's own, on stderr; whether a browser is there afterwards is for the caller to see. */
function installChromium() {
  const options = {
    stdio: ["ignore", "ignore", "inherit"],
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
  };
  console.error(
    "No Chrome or Chromium here, which the browser tests need: installing Debian's by apt-get (some 300 MB; minutes). " +
      "Ctrl+C stops it; npm run test:node needs no browser.",
  );
  try {
    execFileSync("apt-get", ["update", "-qq"], options);
    execFileSync("apt-get", ["install", "-y", "-qq", "chromium"], options);
  } catch (error) {
    console.error(`apt-get did not install chromium: ${error.message}`);
  }
}

function isDebian() {
  return (
    existsSync("/etc/os-release") && /^ID(_LIKE)?=.*(debian|ubuntu)/m.test(readFileSync("/etc/os-release", "utf8"))
  );
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    console.log(ensureChromium());
  } catch (error) {
    console.error(error.message);
    process.exit(1);
  }
}
