// Numbers, sizes and times as a person reads them: tabular, with their unit.

const whole = new Intl.NumberFormat("en-US");

export const count = (n) => whole.format(n);

export function short(n) {
  for (const [size, unit] of [[1e12, "T"], [1e9, "B"], [1e6, "M"], [1e3, "k"]]) {
    if (n >= size) return `${(n / size).toFixed(n / size < 10 ? 2 : n / size < 100 ? 1 : 0)} ${unit}`;
  }
  return String(n);
}

export function bytes(n) {
  if (n < 1000) return `${n} B`;
  for (const [size, unit] of [[1e12, "TB"], [1e9, "GB"], [1e6, "MB"], [1e3, "kB"]]) {
    if (n >= size) return `${(n / size).toFixed(n / size < 10 ? 2 : n / size < 100 ? 1 : 0)} ${unit}`;
  }
}

// Memory of a device.
export const gib = (n) => (n >= 2 ** 30 / 10 ? `${(n / 2 ** 30).toFixed(1)} GiB` : `${Math.max(1, Math.round(n / 2 ** 20))} MiB`);

export function percent(share, digits = 1) {
  if (share === null || share === undefined) return "–";
  const value = share * 100;
  if (value > 0 && value < 0.01) return "under 0.01%";
  return `${value < 1 && value > 0 ? value.toFixed(2) : Number(value.toFixed(digits))}%`;
}

export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
}

export function figure(value) {
  if (value === null || value === undefined) return "–";
  if (value === 0) return "0";
  if (Math.abs(value) < 1e-3) return value.toExponential(2);
  return value.toPrecision(3);
}

const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });

// How long ago, to the nearest sensible unit.
export function ago(seconds, now = Date.now() / 1000) {
  const past = Math.max(0, now - seconds);
  for (const [size, unit] of [[86400, "day"], [3600, "hour"], [60, "minute"]]) {
    if (past >= size) return relative.format(-Math.floor(past / size), unit);
  }
  return "just now";
}

export function when(seconds) {
  return new Date(seconds * 1000).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}
