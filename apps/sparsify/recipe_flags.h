#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "config/recipe.h"
#include "sparsify/command.h"

namespace sparsify {

/// The flags that fill a recipe: defaults < recipe < --set < flags. The pruning flags set rule 0.
struct RecipeFlags {
  std::string model;
  std::string output;
  std::string config;
  std::vector<std::string> sets;
  std::vector<std::string> own_sets;          ///< before those of the user: what the verb itself asks for
  const char* include_flag = "--include";     ///< how the verb calls it
  std::string criterion, pattern, allocation, sparsity, solver;
  bool permute = false;
  std::vector<std::string> include, exclude;
  std::string data, train_data, calibration_data, metric;
  std::string epochs, lr, loss, teacher;
  std::string seed, threads, device, precision;

  void declare_data(CLI::App& app);
  void declare_run(CLI::App& app);
  void declare_precision(CLI::App& app);
  void declare_pruning(CLI::App& app);
  void declare_training(CLI::App& app);

  Recipe recipe() const;
};

}  // namespace sparsify
