// ai.onnx.ml: linear models and tree ensembles (versions 1 and 3 by node ids, version 5 by positions).
#include <ATen/TensorOperators.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <fmt/core.h>

#include <cmath>
#include <limits>
#include <map>
#include <set>

#include "program/op.h"
#include "program/ops/ml_scores.h"

namespace sparsify {
namespace {

enum class Rule { LessEqual, Less, GreaterEqual, Greater, Equal, NotEqual, Member };

/// `yes` and `no` are nodes, or leaves as -1 - leaf.
struct TreeNode {
  size_t feature = 0;
  Rule rule = Rule::LessEqual;
  double split = 0;
  std::set<double> members{};
  bool missing_goes_yes = false;
  int64_t yes = 0;
  int64_t no = 0;
};

struct Contribution {
  int64_t target = 0;
  double weight = 0;
};

struct Ensemble {
  std::vector<TreeNode> nodes;
  std::vector<std::vector<Contribution>> leaves;
  std::vector<int64_t> roots;  ///< as yes and no
  int64_t targets = 1;
};

std::vector<double> doubles(const at::Tensor& tensor) {
  const at::Tensor wide = tensor.detach().to(at::kCPU, at::kDouble).contiguous();
  return {wide.const_data_ptr<double>(), wide.const_data_ptr<double>() + wide.numel()};
}

/// A list of floats, or the tensor `..._as_tensor` that replaces it for double precision.
std::vector<double> numbers(const OpCall& call, const std::string& name) {
  if (call.has_attribute(name + "_as_tensor")) return doubles(call.attribute_tensor(name + "_as_tensor").tensor());
  const std::vector<float> given = call.attribute_numbers(name);
  return {given.begin(), given.end()};
}

Rule rule_named(const OpCall& call, const std::string& name) {
  static const std::map<std::string, Rule> rules{
      {"BRANCH_LEQ", Rule::LessEqual}, {"BRANCH_LT", Rule::Less},   {"BRANCH_GTE", Rule::GreaterEqual},
      {"BRANCH_GT", Rule::Greater},    {"BRANCH_EQ", Rule::Equal}, {"BRANCH_NEQ", Rule::NotEqual}};
  const auto found = rules.find(name);
  if (found == rules.end()) call.fail(fmt::format("node mode \"{}\" is not known", name), "export the model again");
  return found->second;
}

bool goes_yes(const TreeNode& node, double x) {
  if (std::isnan(x)) return node.missing_goes_yes;
  switch (node.rule) {
    case Rule::LessEqual: return x <= node.split;
    case Rule::Less: return x < node.split;
    case Rule::GreaterEqual: return x >= node.split;
    case Rule::Greater: return x > node.split;
    case Rule::Equal: return x == node.split;
    case Rule::NotEqual: return x != node.split;
    case Rule::Member: break;
  }
  return node.members.contains(x);
}

/// Indices of the model are checked once, so that walking a tree needs no checks.
void check(const OpCall& call, const Ensemble& ensemble, size_t features) {
  const auto is_place = [&](int64_t place) {
    return place >= 0 ? place < static_cast<int64_t>(ensemble.nodes.size())
                      : -1 - place < static_cast<int64_t>(ensemble.leaves.size());
  };
  bool sound = true;
  for (const TreeNode& node : ensemble.nodes) {
    sound = sound && node.feature < features && is_place(node.yes) && is_place(node.no);
  }
  for (const int64_t root : ensemble.roots) sound = sound && is_place(root);
  for (const std::vector<Contribution>& leaf : ensemble.leaves) {
    for (const Contribution& part : leaf) sound = sound && part.target >= 0 && part.target < ensemble.targets;
  }
  if (!sound) call.fail("a tree refers to a feature, node or target that is not there", "export the model again");
}

/// Classifier and Regressor: a node is known by (tree, id); leaves have contributions by the same pair.
Ensemble read_by_ids(const OpCall& call, const std::string& what, int64_t targets) {
  const auto trees = call.attribute_integers("nodes_treeids");
  const auto ids = call.attribute_integers("nodes_nodeids");
  const auto features = call.attribute_integers("nodes_featureids");
  const auto modes = call.attribute_texts("nodes_modes");
  const auto splits = numbers(call, "nodes_values");
  const auto yes = call.attribute_integers("nodes_truenodeids");
  const auto no = call.attribute_integers("nodes_falsenodeids");
  const auto missing = call.attribute_integers("nodes_missing_value_tracks_true", std::vector<int64_t>(trees.size(), 0));
  const auto owner_trees = call.attribute_integers(what + "_treeids");
  const auto owner_ids = call.attribute_integers(what + "_nodeids");
  const auto owner_targets = call.attribute_integers(what + "_ids");
  const auto weights = numbers(call, what + "_weights");
  for (const size_t size : {ids.size(), features.size(), modes.size(), splits.size(), yes.size(), no.size(), missing.size()}) {
    if (size != trees.size()) call.fail("the lists of nodes have different lengths", "export the model again");
  }
  if (owner_ids.size() != owner_trees.size() || owner_targets.size() != owner_trees.size() || weights.size() != owner_trees.size()) {
    call.fail("the lists of leaf weights have different lengths", "export the model again");
  }
  using Key = std::pair<int64_t, int64_t>;
  std::map<Key, int64_t> places;
  std::map<Key, size_t> leaf_of;
  Ensemble ensemble;
  ensemble.targets = targets;
  int64_t interior = 0;
  for (size_t i = 0; i < trees.size(); ++i) {
    const Key key{trees[i], ids[i]};
    const bool is_leaf = modes[i] == "LEAF";
    places[key] = is_leaf ? -1 - static_cast<int64_t>(ensemble.leaves.size()) : interior++;
    if (!is_leaf) continue;
    leaf_of[key] = ensemble.leaves.size();
    ensemble.leaves.emplace_back();
  }
  std::set<int64_t> seen;
  for (size_t i = 0; i < trees.size(); ++i) {
    if (seen.insert(trees[i]).second) ensemble.roots.push_back(places[{trees[i], ids[i]}]);
    if (modes[i] == "LEAF") continue;
    const auto at = [&](int64_t id) {
      const auto found = places.find({trees[i], id});
      if (found == places.end()) call.fail(fmt::format("tree {} has no node {}", trees[i], id), "export the model again");
      return found->second;
    };
    ensemble.nodes.push_back({static_cast<size_t>(features[i]), rule_named(call, modes[i]), splits[i], {}, missing[i] != 0,
                              at(yes[i]), at(no[i])});
  }
  for (size_t i = 0; i < owner_trees.size(); ++i) {
    const auto found = leaf_of.find({owner_trees[i], owner_ids[i]});
    if (found != leaf_of.end()) ensemble.leaves[found->second].push_back({owner_targets[i], weights[i]});
  }
  return ensemble;
}

Ensemble read_by_positions(const OpCall& call) {
  const auto features = call.attribute_integers("nodes_featureids");
  const auto modes = doubles(call.attribute_tensor("nodes_modes").tensor());
  const auto splits = doubles(call.attribute_tensor("nodes_splits").tensor());
  const auto yes = call.attribute_integers("nodes_truenodeids");
  const auto no = call.attribute_integers("nodes_falsenodeids");
  const auto yes_leaf = call.attribute_integers("nodes_trueleafs");
  const auto no_leaf = call.attribute_integers("nodes_falseleafs");
  const auto missing = call.attribute_integers("nodes_missing_value_tracks_true", std::vector<int64_t>(features.size(), 0));
  const auto leaf_targets = call.attribute_integers("leaf_targetids");
  const auto weights = doubles(call.attribute_tensor("leaf_weights").tensor());
  for (const size_t size : {modes.size(), splits.size(), yes.size(), no.size(), yes_leaf.size(), no_leaf.size(), missing.size()}) {
    if (size != features.size()) call.fail("the lists of nodes have different lengths", "export the model again");
  }
  if (weights.size() != leaf_targets.size()) call.fail("the lists of leaves have different lengths", "export the model again");
  const std::vector<double> members =
      call.has_attribute("membership_values") ? doubles(call.attribute_tensor("membership_values").tensor()) : std::vector<double>{};
  auto member = members.begin();
  Ensemble ensemble;
  ensemble.targets = call.attribute("n_targets", 1);
  ensemble.roots = call.attribute_integers("tree_roots");
  for (size_t i = 0; i < features.size(); ++i) {
    TreeNode node{static_cast<size_t>(features[i]), static_cast<Rule>(static_cast<int>(modes[i])), splits[i], {}, missing[i] != 0,
                  yes_leaf[i] != 0 ? -1 - yes[i] : yes[i], no_leaf[i] != 0 ? -1 - no[i] : no[i]};
    if (node.rule == Rule::Member) {  // each set ends with a NaN
      while (member != members.end() && !std::isnan(*member)) node.members.insert(*member++);
      if (member != members.end()) ++member;
    }
    ensemble.nodes.push_back(std::move(node));
  }
  for (size_t i = 0; i < weights.size(); ++i) ensemble.leaves.push_back({{leaf_targets[i], weights[i]}});
  return ensemble;
}

/// [batch, targets] in float64. A target that no leaf of a row names is 0.
at::Tensor evaluate(const OpCall& call, const Ensemble& ensemble, const std::string& aggregate) {
  at::Tensor x = call.tensor(0).detach().to(at::kCPU, at::kDouble).contiguous();
  if (x.dim() == 1) x = x.unsqueeze(0);
  check(call, ensemble, static_cast<size_t>(x.size(1)));
  at::Tensor result = at::zeros({x.size(0), ensemble.targets}, at::TensorOptions(at::kDouble));
  for (int64_t row = 0; row < x.size(0); ++row) {
    const double* features = x.const_data_ptr<double>() + row * x.size(1);
    double* sums = result.data_ptr<double>() + row * ensemble.targets;
    std::vector<bool> named(static_cast<size_t>(ensemble.targets));
    for (int64_t at : ensemble.roots) {
      for (size_t turns = 0; at >= 0; ++turns) {
        if (turns > ensemble.nodes.size()) call.fail("a tree has a cycle", "export the model again");
        const TreeNode& node = ensemble.nodes[static_cast<size_t>(at)];
        at = goes_yes(node, features[node.feature]) ? node.yes : node.no;
      }
      for (const Contribution& part : ensemble.leaves[static_cast<size_t>(-1 - at)]) {
        double& sum = sums[part.target];
        const bool first = !named[static_cast<size_t>(part.target)];
        named[static_cast<size_t>(part.target)] = true;
        if (aggregate == "MIN") sum = first ? part.weight : std::min(sum, part.weight);
        else if (aggregate == "MAX") sum = first ? part.weight : std::max(sum, part.weight);
        else sum += part.weight;
      }
    }
  }
  return aggregate == "AVERAGE" ? result / static_cast<double>(ensemble.roots.size()) : result;
}

at::ScalarType float_type(const OpCall& call) {
  return call.tensor(0).scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
}

at::Tensor with_base_values(const OpCall& call, const at::Tensor& scores) {
  const std::vector<double> base = numbers(call, "base_values");
  return base.empty() ? scores : scores + at::tensor(base, at::TensorOptions(at::kDouble));
}

void tree_ensemble(OpCall& call) {
  static const std::vector<std::string> aggregates{"AVERAGE", "SUM", "MIN", "MAX"};
  static const std::vector<std::string> transforms{"NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"};
  const auto aggregate = static_cast<size_t>(call.attribute("aggregate_function", 1));
  const auto transform = static_cast<size_t>(call.attribute("post_transform", 0));
  if (aggregate >= aggregates.size() || transform >= transforms.size()) {
    call.fail(fmt::format("aggregate_function is {}, post_transform is {}", aggregate, transform), "export the model again");
  }
  const at::Tensor scores = evaluate(call, read_by_positions(call), aggregates[aggregate]);
  call.set(0, post_transformed(call, scores, transforms[transform]).to(float_type(call)));
}

void tree_regressor(OpCall& call) {
  const at::Tensor scores = evaluate(call, read_by_ids(call, "target", call.attribute("n_targets", 1)),
                                     call.attribute_text("aggregate_function", "SUM"));
  call.set(0, post_transformed(call, with_base_values(call, scores), call.attribute_text("post_transform", "NONE")).to(at::kFloat));
}

/// One column of scores for two classes, by ONNX Runtime's rule: only LOGISTIC transforms them.
void set_binary(OpCall& call, const at::Tensor& score, const at::Tensor& other, const at::Tensor& is_second,
                const std::string& transform, std::string_view integers_name) {
  const bool logistic = transform == "LOGISTIC";
  const at::Tensor both = at::stack({logistic ? -score : other, score}, 1);
  call.set(0, labels_at(call, integers_name, is_second.to(at::kLong)));
  call.set(1, (logistic ? post_transformed(call, both, transform) : both).to(at::kFloat));
}

void tree_classifier(OpCall& call) {
  const size_t classes = std::max(call.attribute_integers("classlabels_int64s").size(), call.attribute_texts("classlabels_strings").size());
  const std::vector<int64_t> ids = call.attribute_integers("class_ids");
  const std::set<int64_t> used(ids.begin(), ids.end());
  const std::string transform = call.attribute_text("post_transform", "NONE");
  const Ensemble ensemble = read_by_ids(call, "class", static_cast<int64_t>(classes));
  const at::Tensor scores = evaluate(call, ensemble, "SUM");
  if (classes == 2 && used.size() == 1) {
    const bool first = *used.begin() == 0;
    at::Tensor score = scores.select(1, *used.begin());
    const std::vector<double> base = numbers(call, "base_values");
    if (first ? !base.empty() : base.size() > 1) score = score + base.back();
    bool probabilities = true;  // weights that are all positive
    for (const double weight : numbers(call, "class_weights")) probabilities = probabilities && weight >= 0;
    const at::Tensor is_second = score > (probabilities ? 0.5 : 0.0);
    if (first) {
      return set_binary(call, score, probabilities ? 1 - score : -score, is_second, transform, "classlabels_int64s");
    }
    const at::Tensor both = at::stack({at::full_like(score, base.empty() ? 0.0 : base.front()), score}, 1);
    call.set(0, labels_at(call, "classlabels_int64s", is_second.to(at::kLong)));
    call.set(1, post_transformed(call, both, transform).to(at::kFloat));
    return;
  }
  const at::Tensor all = with_base_values(call, scores);
  call.set(0, labels_at(call, "classlabels_int64s", all.argmax(1)));
  call.set(1, post_transformed(call, all, transform).to(at::kFloat));
}

/// [batch, rows] of x * coefficients^T + intercepts.
at::Tensor linear_scores(const OpCall& call, int64_t rows) {
  at::Tensor x = call.tensor(0).to(at::kFloat);
  if (x.dim() == 1) x = x.unsqueeze(0);
  const auto weights = at::tensor(call.attribute_numbers("coefficients"), x.options()).view({rows, -1});
  const std::vector<float> intercepts = call.attribute_numbers("intercepts");
  const at::Tensor scores = x.matmul(weights.t());
  return intercepts.empty() ? scores : scores + at::tensor(intercepts, x.options());
}

void linear_regressor(OpCall& call) {
  call.set(0, post_transformed(call, linear_scores(call, call.attribute("targets", 1)), call.attribute_text("post_transform", "NONE")));
}

void linear_classifier(OpCall& call) {
  const size_t classes = std::max(call.attribute_integers("classlabels_ints").size(), call.attribute_texts("classlabels_strings").size());
  const auto features = call.tensor(0).size(-1);
  const auto rows = static_cast<int64_t>(call.attribute_numbers("coefficients").size()) / std::max<int64_t>(features, 1);
  const at::Tensor scores = linear_scores(call, rows);
  const std::string transform = call.attribute_text("post_transform", "NONE");
  if (rows == 1 && classes == 2) {
    const at::Tensor score = scores.select(1, 0);
    return set_binary(call, score, 1 - score, score > 0, transform, "classlabels_ints");
  }
  call.set(0, labels_at(call, "classlabels_ints", scores.argmax(1)));
  call.set(1, post_transformed(call, scores, transform));
}

const RegisterOps entries{
    "ai.onnx.ml",
    {
        {.name = "TreeEnsemble", .function = tree_ensemble, .gradient = Gradient::No},
        {.name = "TreeEnsembleRegressor", .function = tree_regressor, .gradient = Gradient::No},
        {.name = "TreeEnsembleClassifier", .function = tree_classifier, .gradient = Gradient::No},
        {.name = "LinearRegressor", .function = linear_regressor},
        {.name = "LinearClassifier", .function = linear_classifier, .gradient = Gradient::Some, .notes = "gradient through the scores"},
    }};

}  // namespace
}  // namespace sparsify
