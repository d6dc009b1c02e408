#pragma once

#include <map>
#include <string>
#include <vector>

#include "config/recipe.h"
#include "onnx/model_file.h"
#include "tensor/shape.h"

namespace sparsify {

/// A glob on names of the model, where a user wrote it.
struct NameGlob {
  std::string glob;
  std::string where;    ///< `r.yaml:7 (prune.0.select.exclude)`, `--exclude`
  bool groups = false;  ///< of a rule that removes structure: the names of groups count too
};

/// `select.include`, `select.exclude` and the keys of `density_limits`, of all rules.
std::vector<NameGlob> globs_of(const Recipe& recipe);

/// A layer that a misspelt name was to protect would be pruned without a word. Nodes, stored tensors of every kind, layers and
/// groups count as names. A glob with a wildcard that matches none of them is a warning, since one recipe may serve several models.
///
///   inputs  whole shapes of inputs, for models whose groups depend on them
///   throws  ConfigError for a name without a wildcard that the model does not have, with the nearest one
std::vector<std::string> check_names(const ModelFile& file, const std::vector<NameGlob>& globs, const std::map<std::string, Shape>& inputs = {});

}  // namespace sparsify
