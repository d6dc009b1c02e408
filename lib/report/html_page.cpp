#include "report/html_page.h"

#include <fmt/format.h>

#include "base/sha256.h"
#include "report/png.h"
#include "report/text.h"

namespace sparsify {
namespace {

/// The page may run this script and no other: a name that slipped through the escaping still does nothing.
std::string script_hash() {
  const std::string_view script = kPageScript;
  const std::string hex = sha256_of(std::as_bytes(std::span(script.data(), script.size())));
  std::string bytes;
  for (size_t i = 0; i < hex.size(); i += 2) bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  return "sha256-" + base64(bytes);
}

}  // namespace

std::string html_head(const std::string& title, const std::string& version, const char* more_style) {
  return fmt::format(
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
      "script-src '{}'; base-uri 'none'; form-action 'none'\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><meta name=\"color-scheme\" content=\"light dark\">\n"
      "<meta name=\"generator\" content=\"sparsify {}\"><title>{}</title>\n<style>{}{}</style></head>\n<body>\n",
      script_hash(), escape_markup(version), escape_markup(title), kPageStyle, more_style);
}

std::string filter_box(const std::string& by) {
  return "<div class=\"filter\" hidden><span id=\"count\" role=\"status\"></span><label><span class=\"hidden-text\">Filter "
         "layers</span><input id=\"filter\" type=\"search\" placeholder=\"Filter by " +
         escape_markup(by) + "\" autocomplete=\"off\" spellcheck=\"false\"></label></div>";
}

}  // namespace sparsify
