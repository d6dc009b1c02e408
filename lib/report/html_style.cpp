#include "report/html_page.h"

namespace sparsify {

const char* const kPageStyle = R"css(
:root {
  color-scheme: light dark;
  --ground: #f5f6f8; --panel: #ffffff; --raised: #f0f2f5; --line: #dfe3e8; --text: #18202a; --soft: #5a6573;
  --accent: #1d5fd0; --kept: #3b82f6; --pruned: #d6dbe2; --mark: #18202a;
  --good: #17703a; --good-ground: #e3f4e8; --bad: #b3261e; --bad-ground: #fde8e6; --warn: #805400; --warn-ground: #fdf1d7;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #0f1318; --panel: #171c23; --raised: #1f262f; --line: #2c343f; --text: #e4e9f0; --soft: #98a4b3;
    --accent: #7fb0ff; --kept: #3b82f6; --pruned: #36404d; --mark: #f2f5f9;
    --good: #6fd58f; --good-ground: #14301f; --bad: #ff9b92; --bad-ground: #3c1a1a; --warn: #e8bd66; --warn-ground: #33280f;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; scroll-padding-top: 1rem; }
body {
  margin: 0; background: var(--ground); color: var(--text);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "DejaVu Sans", Arial, sans-serif;
}
main, .top { max-width: 1180px; margin: 0 auto; padding: 0 24px; }
code, pre, .mono { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: .9em; }
a { color: var(--accent); }
h1, h2, h3, p, figure, ul, dl, dd { margin: 0; padding: 0; }
.soft { color: var(--soft); }
.number { font-variant-numeric: tabular-nums; }
.hidden-text { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; border-radius: 3px; }

header { padding: 30px 0 22px; }
.brand { color: var(--soft); font-size: 13px; letter-spacing: .02em; }
.brand b { color: var(--text); font-weight: 650; }
h1 { font-size: 27px; line-height: 1.25; font-weight: 650; letter-spacing: -.012em; margin-top: 6px; overflow-wrap: anywhere; }
h1 .arrow { color: var(--soft); font-weight: 400; padding: 0 .15em; }
.hashes { margin-top: 6px; font-size: 13px; color: var(--soft); overflow-wrap: anywhere; }

.verdict { display: flex; gap: 10px; align-items: flex-start; padding: 11px 14px; border-radius: 8px; font-weight: 550; margin-bottom: 16px; }
.verdict.good { background: var(--good-ground); color: var(--good); }
.verdict.bad { background: var(--bad-ground); color: var(--bad); }
.verdict.none { background: var(--raised); color: var(--soft); }
.icon { flex: none; width: 18px; height: 18px; margin-top: 2px; fill: none; stroke: currentColor; stroke-width: 2.2; stroke-linecap: round; stroke-linejoin: round; }

.panel { background: var(--panel); border: 1px solid var(--line); border-radius: 10px; padding: 20px; margin-bottom: 20px; }
.panel > h2, .bar h2 { font-size: 16px; font-weight: 650; letter-spacing: -.005em; }
.panel > h2 { margin-bottom: 12px; }
.panel > h2 + .soft { margin: -8px 0 14px; font-size: 13.5px; }

.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(190px, 1fr)); gap: 1px; background: var(--line);
  border: 1px solid var(--line); border-radius: 10px; overflow: hidden; margin-bottom: 20px; }
.figure { background: var(--panel); padding: 15px 18px 14px; }
.figure dt { font-size: 13px; color: var(--soft); }
.figure dd { font-size: 25px; line-height: 1.3; font-weight: 620; letter-spacing: -.015em; font-variant-numeric: tabular-nums; white-space: nowrap; }
.figure .soft { font-size: 13px; line-height: 1.45; display: block; font-weight: 400; letter-spacing: 0; white-space: normal; }
.figure .worse { color: var(--warn); } .figure .better { color: var(--good); }

.key { display: flex; flex-wrap: wrap; gap: 4px 16px; font-size: 13px; color: var(--soft); }
.key span::before { content: ""; display: inline-block; width: 11px; height: 11px; border-radius: 2px; margin-right: 6px; vertical-align: -1px; background: var(--pruned); }
.key .kept::before { background: var(--kept); }
.key .target::before { width: 2px; background: var(--mark); border-radius: 0; height: 13px; vertical-align: -2px; }
.chart { display: block; width: 100%; height: 150px; margin-top: 12px; border-bottom: 1px solid var(--line); }
.chart .p { fill: var(--pruned); } .chart .k { fill: var(--kept); } .chart .hit { fill: transparent; }
.chart g:hover .hit { fill: var(--text); fill-opacity: .09; }
.ends { display: flex; justify-content: space-between; gap: 16px; font-size: 12.5px; color: var(--soft); margin-top: 5px; }
.ends span { min-width: 0; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }

.bar { display: flex; flex-wrap: wrap; gap: 10px 16px; align-items: center; justify-content: space-between; margin-bottom: 12px; }
.filter { display: flex; gap: 10px; align-items: center; font-size: 13px; color: var(--soft); }
input[type=search] { font: inherit; font-size: 14px; color: var(--text); background: var(--ground); border: 1px solid var(--line); border-radius: 7px; padding: 6px 10px; width: 240px; max-width: 100%; }
input[type=search]::placeholder { color: var(--soft); opacity: 1; }
.scroll { overflow-x: auto; margin: 0 -20px; padding: 0 20px; }
table { border-collapse: collapse; width: 100%; font-size: 14px; }
th { text-align: left; font-weight: 550; font-size: 13px; color: var(--soft); padding: 0; border-bottom: 1px solid var(--line); white-space: nowrap; vertical-align: bottom; }
th.n, td.n { text-align: right; font-variant-numeric: tabular-nums; }
th button { all: unset; box-sizing: border-box; cursor: pointer; width: 100%; padding: 7px 10px; }
th button:hover { color: var(--text); }
th button:focus-visible { outline: 2px solid var(--accent); outline-offset: -2px; border-radius: 4px; }
th button::after { content: ""; display: inline-block; width: 7px; height: 4px; margin-left: 6px; vertical-align: 2px; background: currentColor; clip-path: polygon(0 0, 100% 0, 50% 100%); opacity: 0; }
th button:hover::after { opacity: .35; }
th[aria-sort=ascending] button::after { clip-path: polygon(50% 0, 100% 100%, 0 100%); }
th[aria-sort=ascending], th[aria-sort=descending] { color: var(--text); }
th[aria-sort=ascending] button::after, th[aria-sort=descending] button::after { opacity: 1; }
th.plain { padding: 7px 10px; }
td { padding: 6px 10px; border-bottom: 1px solid var(--line); vertical-align: middle; white-space: nowrap; }
tbody tr:last-child td { border-bottom: 0; }
tbody tr:hover td { background: var(--raised); }
th:first-child button, th:first-child.plain, td:first-child { padding-left: 0; }
td.name { white-space: normal; overflow-wrap: anywhere; min-width: 190px; max-width: 420px; line-height: 1.35; }
td.name .also { display: block; font-size: 12px; color: var(--soft); }
tfoot td { border-top: 2px solid var(--line); border-bottom: 0; font-weight: 600; }
.split { position: relative; display: inline-block; width: 130px; height: 10px; border-radius: 2px; background: var(--kept); vertical-align: middle; margin-left: 12px; }
.split i { position: absolute; inset: 0 auto 0 0; background: var(--pruned); border-radius: 2px 0 0 2px; }
.split b { position: absolute; top: -3px; bottom: -3px; width: 2px; margin-left: -1px; background: var(--mark); }
.empty { padding: 18px 0; color: var(--soft); text-align: center; }

.pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 260px), 1fr)); gap: 22px 24px; align-items: start; }
.pictures img { display: block; image-rendering: pixelated; background: var(--raised); border: 1px solid var(--line); border-radius: 3px; max-width: 100%; height: auto; }
.pictures figcaption { font-size: 13px; margin-bottom: 7px; line-height: 1.4; overflow-wrap: anywhere; }
.pictures figcaption b { font-weight: 550; }
.pictures figcaption span { display: block; color: var(--soft); font-size: 12.5px; }

.two { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr)); gap: 0 20px; align-items: start; }
.checks { list-style: none; }
.checks li { display: grid; grid-template-columns: 18px 1fr auto; gap: 1px 10px; padding: 8px 0; border-top: 1px solid var(--line); align-items: start; }
.checks li:first-child { border-top: 0; padding-top: 0; }
.checks li:last-child { padding-bottom: 0; }
.checks .detail { grid-column: 2 / -1; color: var(--soft); font-size: 13.5px; overflow-wrap: anywhere; }
.checks .state { font-size: 13px; font-weight: 600; }
.good-ink { color: var(--good); } .bad-ink { color: var(--bad); } .warn-ink { color: var(--warn); }
.notes { padding-left: 18px; }
.notes li { margin: 5px 0; overflow-wrap: anywhere; }
.warnings { background: var(--warn-ground); border-color: transparent; }
.warnings h2 { color: var(--warn); }
.times td:first-child { width: 1%; padding-right: 20px; }
.times td:nth-child(2) { width: 1%; }
.times .track { display: block; height: 8px; background: var(--soft); border-radius: 2px; min-width: 1px; opacity: .55; }

details { border-top: 1px solid var(--line); padding: 9px 0; }
details:first-of-type { border-top: 0; padding-top: 0; } details:last-of-type { padding-bottom: 0; }
summary { cursor: pointer; overflow-wrap: anywhere; }
summary .soft { font-size: 13px; margin-left: 6px; }
details table { margin: 8px 0 4px 16px; width: calc(100% - 16px); }
pre { margin: 0; padding: 13px 15px; background: var(--ground); border: 1px solid var(--line); border-radius: 7px; overflow: auto; line-height: 1.5; font-size: 13px; tab-size: 2; }
pre.command { white-space: pre-wrap; overflow-wrap: anywhere; }
.copy { font: inherit; font-size: 13px; color: var(--text); background: var(--panel); border: 1px solid var(--line); border-radius: 6px; padding: 3px 11px; cursor: pointer; }
.copy:hover { background: var(--raised); }
.spaced { margin-top: 20px; }
footer { color: var(--soft); font-size: 13px; padding: 4px 0 36px; overflow-wrap: anywhere; }

@media (max-width: 720px) {
  main, .top { padding: 0 14px; }
  header { padding: 20px 0 16px; }
  h1 { font-size: 21px; }
  .panel { padding: 15px; border-radius: 8px; }
  .scroll { margin: 0 -15px; padding: 0 15px; }
  .figures { grid-template-columns: 1fr 1fr; }
  .figure { padding: 11px 13px; } .figure dd { font-size: 20px; }
  .figure:last-child:nth-child(odd) { grid-column: 1 / -1; }
  .layers .minor { display: none; }
  td.name { min-width: 110px; } td { padding: 6px 7px; } th button, th.plain { padding: 6px 7px; }
  .split { display: block; width: 74px; margin: 3px 0 0 auto; height: 7px; }
  input[type=search] { width: 100%; font-size: 16px; } .filter { width: 100%; } .filter label { flex: 1; }
  .copy { padding: 7px 14px; }
}
@media print {
  :root { --ground: #fff; --panel: #fff; --raised: #fff; --line: #c9ced6; --text: #000; --soft: #444; --pruned: #d6dbe2; --mark: #000; --good: #0b5a2b; --bad: #98130c; --warn: #5f3f00; }
  body { font-size: 11px; print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  main, .top { max-width: none; padding: 0; }
  .filter, .copy { display: none; }
  .panel { border: 0; padding: 0; } .scroll { overflow: visible; margin: 0; padding: 0; }
  table { font-size: 10px; } tr, figure, .checks li { break-inside: avoid; }
  thead { display: table-header-group; } tfoot { display: table-row-group; }
  h2 { break-after: avoid; } pre { white-space: pre-wrap; }
}
)css";

}  // namespace sparsify
