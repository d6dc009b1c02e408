// Operators that hold what they touch, each with its own reason; and those that have no operand with channels at all.
#include <map>

#include "structure/analysis.h"

namespace sparsify {
namespace {

struct Held {
  const char* reason;
  const char* fix;
};

/// Holds everything; the result has the first operand's rank, and its lengths where `alike`.
void hold(Analysis& a, const Held& why, bool alike) {
  const Label anchor = a.because(why.reason, why.fix);
  for (size_t input = 0; input < a.flat().inputs.size(); ++input) {
    for (const Axis& axis : a.in(input).axes) a.labels.freeze(axis, anchor);
  }
  LabelledValue result;
  result.known = true;
  for (const Axis& axis : a.in(0).axes) result.axes.push_back(a.fixed(alike ? axis.length : -1));
  a.out(0, std::move(result));
  for (size_t output = 1; output < a.flat().outputs.size(); ++output) a.out(output, a.inferred(output));
}

constexpr const char* kRest = "exclude these layers; the rest of the model can be cut";
constexpr Held kDraws = {"it draws a number for each element: of fewer elements it would draw others", kRest};
constexpr Held kScores = {"its coefficients are attributes of one node", kRest};
constexpr Held kMatrix = {"it needs the whole matrix", kRest};
constexpr Held kLoss = {"it is a loss over classes", "prune the model without its loss"};

const std::map<std::string, Held>& held() {
  static const std::map<std::string, Held> operators = {
      {"NonZero", {"it gives the positions of what is not zero", kRest}},
      {"NonMaxSuppression", {"it chooses among boxes by their scores", "cut the layers in front of the boxes and scores; these stay"}},
      {"Unique", {"it gives each value once", kRest}},
      {"MaxUnpool", {"its indices count through all channels", kRest}},
      {"Bernoulli", kDraws},
      {"Multinomial", kDraws},
      {"RandomNormalLike", kDraws},
      {"RandomUniformLike", kDraws},
      {"BitCast", {"it reads the bits of an element as another number", kRest}},
      {"EyeLike", kMatrix},
      {"Det", kMatrix},
      {"com.microsoft.Inverse", kMatrix},
      {"com.microsoft.CDist", {"it gives distances between rows", kRest}},
      {"AffineGrid", {"it gives places to look at", kRest}},
      {"STFT", {"it transforms a signal", kRest}},
      {"NegativeLogLikelihoodLoss", kLoss},
      {"SoftmaxCrossEntropyLoss", kLoss},
      {"ai.onnx.ml.ArrayFeatureExtractor", {"it takes columns by number", kRest}},
      {"ai.onnx.ml.OneHotEncoder", kScores},
      {"ai.onnx.preview.FlexAttention", {"it changes the products of attention in a body of its own", kRest}},
      {"ai.onnx.ml.FeatureVectorizer", kScores},
      {"ai.onnx.ml.LinearClassifier", kScores},
      {"ai.onnx.ml.LinearRegressor", kScores},
      {"ai.onnx.ml.TreeEnsemble", kScores},
      {"ai.onnx.ml.TreeEnsembleClassifier", kScores},
      {"ai.onnx.ml.TreeEnsembleRegressor", kScores},
  };
  return operators;
}

}  // namespace

void add_held_rules(RuleTable& table) {
  for (const auto& [op, why] : held()) {
    table[op] = [why = why](Analysis& a) { a.freeze_all(why.reason, why.fix); };
  }
  for (const char* op : {"Binarizer", "Imputer", "LabelEncoder", "Normalizer", "Scaler"}) {
    table[std::string("ai.onnx.ml.") + op] = [](Analysis& a) { hold(a, kScores, true); };
  }
  const char* last = "cut the model before ONNX Runtime's optimiser orders it";
  table["com.microsoft.NhwcMaxPool"] = [last](Analysis& a) { hold(a, {"its channels lie last", last}, false); };
  table["com.microsoft.ConvTransposeWithDynamicPads"] = [](Analysis& a) { hold(a, {"how far it pads is computed at run time", kRest}, false); };
  table["com.microsoft.DecoderMaskedMultiHeadAttention"] = [](Analysis& a) { hold(a, {"its caches have an axis of heads and one of their width", kRest}, true); };
  table["com.microsoft.BranchwiseRMSNorm"] = [](Analysis& a) {
    hold(a, {"it normalises over this axis: a mean over fewer channels is another function", "cut the layers' inner channels and heads; this width stays"}, true);
  };
  for (const char* op : {"Range", "RandomNormal", "RandomUniform", "HannWindow", "HammingWindow", "BlackmanWindow", "MelWeightMatrix"}) {
    table[op] = [](Analysis& a) { a.out(0, a.inferred(0)); };
  }
  table["com.microsoft.Range"] = [](Analysis& a) {
    LabelledValue result;
    result.known = true;
    result.axes = {a.fixed(-1)};
    a.out(0, std::move(result));
  };
}

}  // namespace sparsify
