# Flattens the YAML that cloud-init's files are written in (and JSON, its subset) into lines "FILE.path.to.key<TAB>value";
# list items are numbered from 0; a backslash and a newline in a value are written \\ and \n.
# Understood: block maps and lists, flow maps and lists, plain and quoted scalars, block scalars | and > with - and +, comments.
# Not understood: anchors, tags, multi-line plain scalars, multiple documents.
function indent_of(line) { match(line, /^ */); return RLENGTH }
function spaces(n,   out) { out = ""; while (n-- > 0) out = out " "; return out }
function blank(line) { return line ~ /^ *(#.*)?$/ || line ~ /^(---|\.\.\.)/ }
function skip_blank() { while (at <= count && blank(lines[at])) at++ }
function emit(path, value) {
  gsub(/\\/, "&&", value)
  gsub(/\n/, "\\n", value)
  gsub(/\t/, " ", value)
  print path "\t" value
}
# The text of a double-quoted scalar that starts at position p of s; sets `after` to the position behind it.
function double_quoted(s, p,   out, c) {
  out = ""
  for (p++; p <= length(s); p++) {
    c = substr(s, p, 1)
    if (c == "\"") break
    if (c == "\\") {
      c = substr(s, ++p, 1)
      if (c == "n") c = "\n"
      else if (c == "t") c = "\t"
      else if (c == "r") c = "\r"
      else if (c == "u") { c = sprintf("%c", hex(substr(s, p + 1, 4))); p += 4 }
    }
    out = out c
  }
  after = p + 1
  return out
}
function hex(digits,   i, n) {
  n = 0
  for (i = 1; i <= length(digits); i++) n = n * 16 + index("0123456789abcdef", tolower(substr(digits, i, 1))) - 1
  return n
}
function single_quoted(s, p,   out, c) {
  out = ""
  for (p++; p <= length(s); p++) {
    c = substr(s, p, 1)
    if (c == "'") { if (substr(s, p + 1, 1) != "'") break; p++ }
    out = out c
  }
  after = p + 1
  return out
}
function skip_space(s, p) { while (p <= length(s) && substr(s, p, 1) ~ /[ \n\t]/) p++; return p }
# Reads one flow value of s at p, emits what is in it, returns the position behind it.
function flow(s, p, path,   c, n, key, start) {
  p = skip_space(s, p)
  c = substr(s, p, 1)
  if (c == "[") {
    p = skip_space(s, p + 1)
    for (n = 0; p <= length(s) && substr(s, p, 1) != "]"; n++) {
      p = skip_space(s, flow(s, p, path "." n))
      if (substr(s, p, 1) == ",") p = skip_space(s, p + 1)
    }
    return p + 1
  }
  if (c == "{") {
    p = skip_space(s, p + 1)
    while (p <= length(s) && substr(s, p, 1) != "}") {
      c = substr(s, p, 1)
      if (c == "\"") { key = double_quoted(s, p); p = after }
      else if (c == "'") { key = single_quoted(s, p); p = after }
      else { start = p; while (p <= length(s) && substr(s, p, 1) !~ /[:,}]/) p++; key = substr(s, start, p - start); sub(/ +$/, "", key) }
      p = skip_space(s, p)
      if (substr(s, p, 1) == ":") p = flow(s, p + 1, path "." key)
      p = skip_space(s, p)
      if (substr(s, p, 1) == ",") p = skip_space(s, p + 1)
    }
    return p + 1
  }
  if (c == "\"") { key = double_quoted(s, p); emit(path, key); return after }
  if (c == "'") { key = single_quoted(s, p); emit(path, key); return after }
  start = p
  while (p <= length(s) && substr(s, p, 1) !~ /[],}\n]/) p++
  key = substr(s, start, p - start)
  sub(/[ \t]+$/, "", key)
  if (key != "" && key != "null" && key != "~") emit(path, key)
  return p
}
# How many brackets of text are open, outside of quotes.
function open_brackets(text,   p, c, n) {
  n = 0
  for (p = 1; p <= length(text); p++) {
    c = substr(text, p, 1)
    if (c == "\"") { double_quoted(text, p); p = after - 1 }
    else if (c == "'") { single_quoted(text, p); p = after - 1 }
    else if (c ~ /[[{]/) n++
    else if (c ~ /[]}]/) n--
  }
  return n
}
function scalar(text, path, parent,   c, all) {
  c = substr(text, 1, 1)
  if (c == "[" || c == "{") {
    all = text
    while (open_brackets(all) > 0 && at <= count) all = all "\n" lines[at++]
    flow(all, 1, path)
  } else if (c == "\"") emit(path, double_quoted(text, 1))
  else if (c == "'") emit(path, single_quoted(text, 1))
  else if (text ~ /^[|>][-+0-9]*( +#.*)?$/) block_scalar(text, path, parent)
  else {
    sub(/ +#.*$/, "", text)
    sub(/ +$/, "", text)
    if (text != "" && text != "null" && text != "~") emit(path, text)
  }
}
function block_scalar(style, path, parent,   base, out, line, folded, n) {
  folded = substr(style, 1, 1) == ">"
  base = -1
  out = ""
  n = 0
  for (; at <= count; at++) {
    line = lines[at]
    if (line !~ /^ *$/) {
      if (base < 0) base = indent_of(line)
      if (indent_of(line) < base || base <= parent) break
    }
    out = out (n++ ? (folded ? " " : "\n") : "") substr(line, base < 0 ? 1 : base + 1)
  }
  sub(/[ \n]+$/, "", out)
  emit(path, style ~ /-/ ? out : out "\n")
}
# A node whose first line is lines[at], indented by n.
function node(n, path,   line, text) {
  line = lines[at]
  text = substr(line, n + 1)
  if (text ~ /^-( |$)/) return list(n, path)
  if (text ~ /^("([^"\\]|\\.)*"|'[^']*'|[^][{}"'#&*!|>%@,]([^:]|:[^ ])*):( |$)/) return map(n, path)
  at++
  scalar(text, path, n - 1)
}
function list(n, path,   i, text, inner) {
  for (i = 0; ; i++) {
    skip_blank()
    if (at > count || indent_of(lines[at]) != n || substr(lines[at], n + 1) !~ /^-( |$)/) return
    text = substr(lines[at], n + 2)
    if (text ~ /^ *(#.*)?$/) { at++; nested(n, path "." i); continue }
    inner = n + 1 + indent_of(text)
    if (substr(text, inner - n) ~ /^[|>][-+0-9]*( +#.*)?$/) { at++; block_scalar(substr(text, inner - n), path "." i, n); continue }
    # The item's own first line becomes a line of the nested node.
    lines[at] = spaces(inner) substr(text, inner - n)
    node(inner, path "." i)
  }
}
function map(n, path,   text, key) {
  for (;;) {
    skip_blank()
    if (at > count || indent_of(lines[at]) != n) return
    text = substr(lines[at], n + 1)
    if (text ~ /^-( |$)/) return
    if (text ~ /^"/) { key = double_quoted(text, 1); text = substr(text, after) }
    else if (text ~ /^'/) { key = single_quoted(text, 1); text = substr(text, after) }
    else if (match(text, /:( |$)/)) { key = substr(text, 1, RSTART - 1); text = substr(text, RSTART) }
    else { at++; continue }
    sub(/ +$/, "", key)
    sub(/^ *: */, "", text)
    at++
    if (text ~ /^(#.*)?$/) nested(n, path "." key)
    else scalar(text, path "." key, n)
  }
}
# What belongs to a key or dash with nothing behind it: deeper lines, or a list at a key's own depth.
function nested(n, path) {
  skip_blank()
  if (at > count) return
  if (indent_of(lines[at]) > n) node(indent_of(lines[at]), path)
  else if (indent_of(lines[at]) == n && substr(lines[at], n + 1) ~ /^-( |$)/ && path !~ /\.[0-9]+$/) list(n, path)
}
function finish() {
  at = 1
  skip_blank()
  if (name != "" && at <= count) node(indent_of(lines[at]), name)
}
FNR == 1 { finish(); split("", lines); count = 0; name = FILENAME; sub(/.*\//, "", name) }
{ sub(/\r$/, ""); lines[++count] = $0 }
END { finish() }
