// Files as a person gives them: chosen one by one, a whole folder, or dropped; each with its name below the folder.

// Of an <input type="file">.
export const filesChosen = (input) => [...input.files].map((file) => ({ file, name: file.webkitRelativePath || file.name }));

// Of a drop: folders are walked to their end. Must be called at once, for the browser forgets the items soon.
export async function filesDropped(transfer) {
  const entries = [...transfer.items].filter((item) => item.kind === "file").map((item) => item.webkitGetAsEntry?.() ?? item.getAsFile());
  const found = [];
  for (const entry of entries) await walk(entry, found);
  return found;
}

async function walk(entry, found) {
  if (entry instanceof File) found.push({ file: entry, name: entry.name });
  else if (entry?.isFile) found.push({ file: await new Promise((resolve, reject) => entry.file(resolve, reject)), name: entry.fullPath.replace(/^\/+/, "") });
  else if (entry?.isDirectory) for (const child of await children(entry)) await walk(child, found);
}

// A reader gives a folder's entries in parts, until it gives none.
async function children(folder) {
  const reader = folder.createReader();
  const all = [];
  for (;;) {
    const part = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!part.length) return all;
    all.push(...part);
  }
}

// What some files are called together: the file, their folder, or their number.
export function titleOf(names) {
  if (names.length === 1) return names[0].split("/").at(-1);
  const tops = new Set(names.map((name) => (name.includes("/") ? name.split("/")[0] : "")));
  return tops.size === 1 && !tops.has("") ? [...tops][0] : `${names.length} files`;
}
