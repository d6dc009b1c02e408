#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "config/recipe.h"
#include "tensor/shape.h"

namespace sparsify {

/// What every verb understands, and how it was called.
struct Context {
  std::string command_line;
  bool json = false;       ///< one JSON document on stdout
  bool verbose = false;
  int64_t threads = 0;
  std::string device = "auto";
  std::vector<std::string> input_shapes;  ///< --input NAME:1,3,224,224

  int width() const;      ///< columns of the terminal, or COLUMNS; without a terminal as many as it takes: nothing is shortened
  bool colour() const;    ///< stdout is a terminal and NO_COLOR is not set
  bool utf8() const;      ///< the locale's character set is UTF-8

  /// throws ConfigError for text that is not NAME:SIZES
  std::map<std::string, Shape> shapes() const;
};

/// A verb: declares its flags on a CLI11 subcommand and returns what to do when it was chosen (the exit code).
/// Each file of commands/ registers one on its last line.
struct Command {
  const char* name;
  const char* summary;
  std::function<int()> (*declare)(CLI::App& app, Context& context);
};

std::vector<Command>& commands();

struct RegisterCommand {
  explicit RegisterCommand(Command command) { commands().push_back(command); }
};

/// Adds --input NAME:1,3,224,224.
void add_input_option(CLI::App& app, Context& context);

/// Prints to stdout; throws ResourceError when it is closed or full.
void print(const std::string& text);

}  // namespace sparsify
