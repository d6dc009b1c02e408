#include <fmt/core.h>

#include <algorithm>
#include <clocale>
#include <new>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/log_file.h"
#include "base/module.h"
#include "base/names.h"
#include "base/version.h"
#include "data/text/bert_words.h"
#include "data/text/sentence_piece.h"
#include "parallel/process_group.h"
#include "sparsify/command.h"

namespace sparsify {
namespace {

struct CommonFlags {
  int verbosity = 0;
  bool quiet = false;
  std::string log_file;
  std::vector<std::string> plugins;
};

void add_common_flags(CLI::App& app, Context& context, CommonFlags& flags) {
  app.add_flag("--json", context.json, "print one JSON document instead of text");
  app.add_flag("-v,--verbose", flags.verbosity, "tell more (twice: much more)");
  app.add_flag("-q,--quiet", flags.quiet, "only errors on stderr");
  app.add_option("--log-file", flags.log_file, "write the log there as well, behind what an earlier run has left")->type_name("FILE");
  app.add_option("--plugin", flags.plugins, "load criteria, patterns, allocators ... from a shared library")->type_name("FILE")->allow_extra_args(false);
}

std::string quoted_command_line(int argc, char** argv) {
  std::string text = "sparsify";
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const bool plain = argument.find_first_of(" '\"*?[]{}$&|;<>()\\#~`\n\t") == std::string::npos && !argument.empty();
    text += " " + (plain ? argument : "'" + argument + "'");
  }
  return text;
}

/// CLI11 names an unknown verb only as an unexpected argument; say what was meant.
void refuse_unknown_verb(int argc, char** argv) {
  if (argc < 2 || argv[1][0] == '-') return;
  std::vector<std::string> names;
  for (const Command& command : commands()) names.emplace_back(command.name);
  if (std::find(names.begin(), names.end(), argv[1]) != names.end()) return;
  throw ConfigError{{.what = fmt::format("there is no verb \"{}\"", argv[1]), .where = "command line", .fix = suggest(argv[1], names)}};
}

/// Likewise for a mistyped flag of a known verb.
void refuse_unknown_flag(const CLI::App& app, int argc, char** argv) {
  if (argc < 2 || argv[1][0] == '-') return;
  std::vector<std::string> known;
  for (const CLI::Option* option : app.get_subcommand(argv[1])->get_options()) {
    for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
  }
  for (int i = 2; i < argc && std::string(argv[i]) != "--"; ++i) {
    const std::string flag = std::string(argv[i]).substr(0, std::string(argv[i]).find('='));
    if (!flag.starts_with("--") || std::find(known.begin(), known.end(), flag) != known.end()) continue;
    const std::string near = closest_name(flag, known);
    throw ConfigError{{.what = fmt::format("{} has no flag {}", argv[1], flag),
                       .where = "command line",
                       .fix = (near.empty() ? "" : fmt::format("did you mean {}? ", near)) +
                              fmt::format("see `sparsify {} --help`", argv[1])}};
  }
}

int run(int argc, char** argv) {
  std::sort(commands().begin(), commands().end(), [](const Command& a, const Command& b) { return std::string(a.name) < b.name; });
  CLI::App app{"Prunes neural networks: a trained ONNX model in, a smaller or sparser ONNX model that still works out, with the evidence."};
  app.set_version_flag("--version", [] {
    std::string text = "sparsify " + version();
    std::map<std::string, std::string> versions = build_versions();
    versions["processes"] = process_library().empty() ? "one (built without MPI)" : process_library();
    versions["text"] = unicode_library() + (sentence_piece_library().empty() ? "" : ", " + sentence_piece_library());
    for (const auto& [name, value] : versions) text += fmt::format("\n  {}: {}", name, value);
    return text;
  });
  app.require_subcommand(1);
  app.failure_message(CLI::FailureMessage::help);
  Context context;
  context.command_line = quoted_command_line(argc, argv);
  CommonFlags flags;
  std::map<const CLI::App*, std::function<int()>> actions;
  for (const Command& command : commands()) {
    CLI::App* sub = app.add_subcommand(command.name, command.summary);
    add_common_flags(*sub, context, flags);
    actions[sub] = command.declare(*sub, context);
  }
  try {
    refuse_unknown_verb(argc, argv);
    refuse_unknown_flag(app, argc, argv);
    app.parse(argc, argv);
  } catch (const CLI::Success& e) {
    return app.exit(e);  // --help, --version
  } catch (const CLI::ParseError& e) {
    const std::string verb = app.get_subcommands().empty() ? "" : " " + app.get_subcommands().front()->get_name();
    throw ConfigError{{.what = e.what(), .where = "command line", .fix = fmt::format("see `sparsify{} --help`", verb)}};
  }
  context.verbose = flags.verbosity > 0;
  set_log_level(flags.quiet || is_started_as_helper() ? LogLevel::Quiet : flags.verbosity > 1 ? LogLevel::Debug : flags.verbosity == 1 ? LogLevel::Verbose : LogLevel::Normal);
  if (!flags.log_file.empty() && !is_started_as_helper()) {
    set_log_file(flags.log_file);
    note_in_log_file(context.command_line);
  }
  for (const std::string& plugin : flags.plugins) load_plugin(plugin);
  return actions.at(app.get_subcommands().front())();
}

int failed(int code, const std::string& message) {
  fmt::print(stderr, "{}\n", message);
  note_failure_in_log_file(message);
  return code;
}

int run_or_explain(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const Error& e) {
    if (is_started_as_helper() && e.exit_code() == kUsage) return e.exit_code();  // the first process has the same recipe, and says so
    return failed(e.exit_code(), e.what());
  } catch (const std::bad_alloc&) {
    return failed(kExhausted, fmt::format("error: memory ran out\n   at: {}\n  fix: use a smaller batch_size or a machine with more memory", argc > 1 ? argv[1] : "start"));
  } catch (const std::exception& e) {
    return failed(kInternal, fmt::format("error: {}\n   at: inside sparsify; this is a bug\n  fix: please report it with the command and the model", e.what()));
  }
}

}  // namespace
}  // namespace sparsify

int main(int argc, char** argv) {
  using namespace sparsify;
  std::setlocale(LC_CTYPE, "");
  install_interrupt_handlers();
  const int code = run_or_explain(argc, argv);
  leave_processes(code);
  return code;
}
