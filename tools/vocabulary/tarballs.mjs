// Prints where npm's registry keeps the packages of package-lock.json, a line each: folder, address, and the SHA-512 in
// hex that the file must have.
import { readFileSync } from "node:fs";

const registry = (process.env.npm_config_registry ?? "https://registry.npmjs.org/").replace(/\/*$/, "/");
const { packages } = JSON.parse(readFileSync(new URL("package-lock.json", import.meta.url), "utf8"));
for (const [folder, { version, integrity }] of Object.entries(packages)) {
    if (folder === "") continue; // the root: ours
    const name = folder.slice("node_modules/".length);
    const hash = Buffer.from(integrity.slice("sha512-".length), "base64").toString("hex");
    console.log(`${folder} ${registry}${name}/-/${name.split("/").pop()}-${version}.tgz ${hash}`);
}
