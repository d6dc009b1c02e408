#include "train/settings.h"

#include <fmt/core.h>

#include "base/error.h"
#include "train/loss_names.h"

namespace sparsify {
namespace {

OptimizerSettings read_optimizer(const Setting& value) {
  const std::string path = "train.optimizer";
  const NamedOptions named = split_name(value.is_null() ? Setting("sgd") : value, path);
  const Options& options = named.options;
  OptimizerSettings read;
  read.name = named.name;
  const std::vector<std::string> known = {"sgd", "adam", "adamw"};
  if (std::find(known.begin(), known.end(), read.name) == known.end()) {
    throw ConfigError{{.what = fmt::format("no optimizer is named \"{}\"", read.name),
                       .where = fmt::format("{} ({})", value.mark().text(), path),
                       .fix = suggest(read.name, known)}};
  }
  const bool sgd = read.name == "sgd";
  read.lr = options.number("lr", sgd ? 0.01 : 1e-3, {.min = 0, .max = 1e3}, "learning rate, times the schedule's factor");
  if (sgd) {
    read.momentum = options.number("momentum", read.momentum, {.min = 0, .max = 1, .below_max = true}, "");
    read.nesterov = options.flag("nesterov", false, "");
    if (read.nesterov && read.momentum <= 0) {
      throw ConfigError{{.what = "Nesterov's method has no momentum to look ahead with",
                         .where = options.where("nesterov"),
                         .fix = "give momentum, as in momentum: 0.9"}};
    }
  } else {
    const std::vector<double> betas = options.numbers("betas", {read.beta1, read.beta2}, {.min = 0, .max = 1, .below_max = true}, "");
    if (betas.size() != 2) {
      throw ConfigError{{.what = fmt::format("betas has {} numbers", betas.size()), .where = options.where("betas"), .fix = "give two, as in [0.9, 0.999]"}};
    }
    read.beta1 = betas[0];
    read.beta2 = betas[1];
    read.epsilon = options.number("epsilon", read.epsilon, {.min = 0, .max = 1, .above_min = true}, "");
  }
  read.weight_decay = options.number("weight_decay", read.name == "adamw" ? 1e-2 : 0, {.min = 0, .max = 10}, "");
  read.decay_all = options.flag("decay_all", true, "false: weight decay leaves norms and biases alone");
  options.reject_unread();
  return read;
}

std::vector<ParameterGroup> read_groups(const Setting& value) {
  std::vector<ParameterGroup> groups;
  if (value.is_null()) return groups;
  const Setting::List entries = value.is_list() ? value.list() : Setting::List{value};
  for (size_t i = 0; i < entries.size(); ++i) {
    const Options options(entries[i], fmt::format("train.groups.{}", i));
    ParameterGroup group;
    group.include = options.texts("include", {"*"}, "globs on initializer and node names");
    group.lr = options.optional_number("lr", {.min = 0, .max = 1e3}, "instead of the optimizer's");
    group.weight_decay = options.optional_number("weight_decay", {.min = 0, .max = 10}, "instead of the optimizer's");
    group.frozen = options.flag("frozen", false, "stay as they are");
    options.reject_unread();
    groups.push_back(std::move(group));
  }
  return groups;
}

LossSettings read_loss(const Setting& value) {
  const NamedOptions named = split_name(value.is_null() ? Setting("auto") : value, "train.loss");
  LossSettings read;
  read.name = named.name;
  const std::vector<std::string>& known = loss_names();
  if (std::find(known.begin(), known.end(), read.name) == known.end()) {
    throw ConfigError{{.what = fmt::format("no loss is named \"{}\"", read.name),
                       .where = fmt::format("{} (train.loss)", value.mark().text()),
                       .fix = suggest(read.name, known)}};
  }
  if (read.name == "cross_entropy" || read.name == "auto") {
    read.label_smoothing = named.options.number("label_smoothing", 0, {.min = 0, .max = 1, .below_max = true}, "");
  }
  if (read.name == "huber") read.delta = named.options.number("delta", 1, {.min = 0, .above_min = true}, "where the square becomes a line");
  read.output = named.options.text("output", "", "graph output it is taken of; the first by default");
  named.options.reject_unread();
  return read;
}

DistillSettings read_distill(const Options& train) {
  DistillSettings read;
  read.active = train.has("distill");
  const Options options = train.section("distill", "a dense model teaches");
  read.weight = options.number("weight", read.weight, {.min = 0, .max = 1}, "share of the teacher in the loss");
  read.temperature = options.number("temperature", read.temperature, {.min = 0, .max = 1000, .above_min = true}, "");
  read.kind = options.choice("kind", read.kind, {"auto", "kl", "mse"}, "auto: kl for class scores and probabilities, mse for values and single numbers");
  read.axis = options.optional_integer("axis", {.min = 1, .max = 8}, "of the classes in the output, where labels, a Softmax and the shapes leave it open");
  read.teacher = options.text("teacher", "", "ONNX file; by default the input model before it is pruned");
  read.features = options.texts("features", {}, "values to match as well, by name");
  read.feature_weight = options.number("feature_weight", read.feature_weight, {.min = 0}, "of each of them");
  return read;
}

TrainSettings read_from(const Options& options) {
  TrainSettings read;
  read.epochs = options.integer("epochs", read.epochs, {.min = 1, .max = 1 << 20}, "passes over data.train");
  read.steps = options.optional_integer("steps", {.min = 1}, "optimizer steps instead of epochs");
  if (read.steps && options.has("epochs")) {
    throw ConfigError{{.what = "epochs and steps both say how long the training is",
                       .where = options.where("steps"),
                       .fix = "give one of the two (where both stood, steps counted)"}};
  }
  if (const auto size = options.optional_integer("batch_size", {.min = 1, .max = 1 << 24}, "by default that of data.train")) read.batch_size = *size;
  read.accumulate = options.integer("accumulate", 1, {.min = 1, .max = 1 << 20}, "batches an optimizer step");
  read.optimizer = read_optimizer(options.value("optimizer", "sgd, adam, adamw; {name: sgd, lr: 0.01, momentum: 0.9, weight_decay: 5e-4}"));
  read.groups = read_groups(options.value("groups", "parameters with their own lr or weight_decay, or frozen"));
  const Setting schedule = options.value("lr_schedule", "cosine (default), constant, linear, step, multi_step, one_cycle; warmup: epochs");
  if (!schedule.is_null()) read.lr_schedule = schedule;
  make_lr_schedule(read.lr_schedule, "train.lr_schedule");
  read.loss = read_loss(options.value("loss", "auto, cross_entropy, bce, mse, mae, huber, distill"));
  read.distill = read_distill(options);
  if (read.loss.name == "distill") {
    const Options distill = options.section("distill");
    if (distill.has("weight") && read.distill.weight != 1) {
      throw ConfigError{{.what = fmt::format("the teacher has a weight of {:.6g}, and loss: distill has no other loss to share with", read.distill.weight),
                         .where = distill.where("weight"),
                         .fix = "name the loss that takes the rest, such as loss: cross_entropy, or remove weight"}};
    }
    read.distill.active = true;
    read.distill.weight = 1;
  }
  read.clip_norm = options.number("clip_norm", 0, {.min = 0}, "largest norm of all gradients together; 0: off");
  read.ema = options.number("ema", 0, {.min = 0, .max = 1, .below_max = true}, "decay of averaged weights, which are then exported; 0: off");
  read.batch_norm = options.choice("batch_norm", read.batch_norm, {"train", "frozen"}, "statistics of the batch, or of the file");
  read.unfold = options.flag("unfold", false, "convolutions train with a BatchNormalization behind them, which is folded into them again");
  if (read.unfold && read.batch_norm == "frozen") {
    throw ConfigError{{.what = "unfold puts normalisation by the batch into the network, and batch_norm: frozen forbids it",
                       .where = options.where("unfold"),
                       .fix = "remove one of the two"}};
  }
  read.mixup = options.number("mixup", 0, {.min = 0, .max = 4}, "alpha of Beta(alpha, alpha); 0: off");
  read.cutmix = options.number("cutmix", 0, {.min = 0, .max = 4}, "alpha of Beta(alpha, alpha); 0: off");
  read.drop_last = options.flag("drop_last", false, "leave out a last batch that is not full");
  read.workers = options.integer("workers", 1, {.min = 1, .max = 256}, "threads that read data");
  read.validation = options.text("validation", "", "data set whose metric chooses the best epoch; data.validation if there is one");
  read.patience = options.integer("patience", 0, {.min = 0}, "epochs without improvement before training stops; 0: never");
  read.checkpoint_minutes = options.number("checkpoint_minutes", read.checkpoint_minutes, {.min = 0, .above_min = true}, "between checkpoints; there is one after each epoch too");
  read.checkpoint_steps = options.integer("checkpoint_steps", 0, {.min = 0}, "also every so many steps");
  read.log_every = options.integer("log_every", read.log_every, {.min = 1}, "steps between two points of the curves");
  return read;
}

}  // namespace

TrainSettings read_train_settings(const Setting& train) {
  const Options options(train, "train");
  TrainSettings read = read_from(options);
  options.reject_unread();
  return read;
}

std::vector<OptionRecord> train_options() {
  const Options options;
  read_from(options);
  return options.records();
}

}  // namespace sparsify
