#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/options.h"
#include "train/lr_schedule.h"

namespace sparsify {

struct OptimizerSettings {
  std::string name = "sgd";  ///< sgd, adam, adamw
  double lr = 0.01;
  double momentum = 0.9;
  bool nesterov = false;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0;
  bool decay_all = true;  ///< false: norms and biases are left alone by weight decay
};

/// Parameters that are trained differently. Globs on initializer and node names; the last group that matches wins.
struct ParameterGroup {
  std::vector<std::string> include;
  std::optional<double> lr;
  std::optional<double> weight_decay;
  bool frozen = false;
};

struct LossSettings {
  std::string name = "auto";  ///< auto, cross_entropy, bce, mse, mae, huber, distill
  double label_smoothing = 0;
  double delta = 1;     ///< of huber
  std::string output;   ///< graph output it is taken of; "" = the first
};

/// Of values rather than classes.
inline bool is_regression(const LossSettings& loss) { return loss.name == "mse" || loss.name == "mae" || loss.name == "huber"; }

/// L = (1 - weight) task + weight T^2 KL(teacher || student); with `loss: distill` there is no task.
struct DistillSettings {
  bool active = false;
  double weight = 0.5;
  double temperature = 4;
  std::string kind = "auto";          ///< auto, kl, mse: see Distance in train/distillation.h
  std::optional<int64_t> axis;        ///< of the classes; by default what labels, a Softmax or the shapes say
  std::string teacher;                ///< an ONNX file; "" = the input model before pruning
  std::vector<std::string> features;  ///< values that both models have; their mean squared difference is added
  double feature_weight = 1;
};

/// The keys of `train:`.
struct TrainSettings {
  int64_t epochs = 3;
  std::optional<int64_t> steps;       ///< optimizer steps instead of epochs
  int64_t batch_size = 0;             ///< 0: the data set's
  int64_t accumulate = 1;             ///< batches an optimizer step
  OptimizerSettings optimizer;
  std::vector<ParameterGroup> groups;
  Setting lr_schedule{"cosine"};
  LossSettings loss;
  DistillSettings distill;
  double clip_norm = 0;               ///< 0: off
  double ema = 0;                     ///< decay of the averaged weights; 0: off
  std::string batch_norm = "train";   ///< train: batch statistics; frozen: the file's
  bool unfold = false;                ///< convolutions train with a BatchNormalization behind them, folded into them again at the end
  double mixup = 0;                   ///< alpha of Beta(alpha, alpha); 0: off
  double cutmix = 0;
  bool drop_last = false;
  int64_t workers = 1;
  std::string validation;             ///< data set whose metric chooses the best epoch; "" = `validation` if there is one
  int64_t patience = 0;               ///< epochs without improvement before training stops; 0: never
  double checkpoint_minutes = 10;
  int64_t checkpoint_steps = 0;       ///< also every so many steps; 0: off
  int64_t log_every = 50;             ///< steps between two points of the curves
  int64_t processes = 1;              ///< that share each step; not a key of the recipe
};

/// throws ConfigError for unknown keys and values out of range, with file and line
TrainSettings read_train_settings(const Setting& train);

/// For `explain` and the recipe's schema.
std::vector<OptionRecord> train_options();

}  // namespace sparsify
