#include "patterns/pattern.h"

#include <charconv>
#include <utility>

#include "base/error.h"
#include "base/plugin_call.h"
#include "config/option_check.h"

namespace sparsify {
namespace {

/// `2:4` -> {2, 4}
std::optional<std::pair<int64_t, int64_t>> parse_n_of_m(std::string_view text) {
  int64_t n = 0;
  int64_t m = 0;
  const char* end = text.data() + text.size();
  const auto [colon, bad_n] = std::from_chars(text.data(), end, n);
  if (bad_n != std::errc{} || colon == end || *colon != ':') return std::nullopt;
  const auto [rest, bad_m] = std::from_chars(colon + 1, end, m);
  if (bad_m != std::errc{} || rest != end) return std::nullopt;
  return std::pair(n, m);
}

}  // namespace

std::string Pattern::refuses(const PrunableTensor&) const { return ""; }

std::optional<double> Pattern::fixed_sparsity(const PrunableTensor&) const { return std::nullopt; }

ScoreView Pattern::unit_scores(const PrunableTensor&, ScoreView scores, std::vector<float>&) const { return scores; }

std::string Pattern::violation(const PrunableTensor&, const BitMask&) const { return ""; }

std::unique_ptr<Pattern> make_pattern(const Setting& value, const std::string& path) {
  NamedOptions named = value.is_null() ? NamedOptions{"unstructured", Options(Setting(Setting::Map{}), path)}
                                       : split_name(value, path);
  if (const auto numbers = parse_n_of_m(named.name)) {
    Setting map{Setting::Map{}};
    map.set("n", Setting(numbers->first));
    map.set("m", Setting(numbers->second));
    map.set_mark(value.mark());
    named.options.reject_unread();
    named = {"n_of_m", Options(std::move(map), path)};
  }
  try {
    const PluginName name{.family = Pattern::kFamily, .name = named.name, .where = place_of(value.mark(), path)};
    auto pattern = call_plugin(name, [&] { return Registry<Pattern>::instance().make(named.name, named.options); });
    named.options.reject_unread();
    return pattern;
  } catch (Error& error) {
    if (error.problem().where == Pattern::kFamily) error.set_where(place_of(value.mark(), path));
    throw;
  }
}

}  // namespace sparsify
