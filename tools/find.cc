// `benchfs find`: what is below a directory and fits the conditions. They are those of find(1),
// also with one dash; all have to hold. Symbolic links are shown and not followed.
#include <fnmatch.h>
#include <sys/stat.h>

#include <chrono>
#include <cstdio>

#include "base/text.hpp"
#include "files.hpp"

namespace benchfs::tools {
namespace {

using Words = std::vector<std::string>;

/// "+N": more than N, "-N": less, "N": exactly.
struct Bound {
  char sign = '=';
  std::uint64_t number = 0;
  bool holds(std::uint64_t value) const {
    return sign == '+' ? value > number : sign == '-' ? value < number : value == number;
  }
};

/// A size in units, to which a file's size is rounded up, as find(1) does.
struct SizeBound {
  Bound bound;
  std::uint64_t unit_bytes = 512;
};

struct FindOptions {
  std::string name, any_case_name, path, type, newer;
  std::optional<SizeBound> size;
  std::optional<Bound> days, minutes;
  std::uint64_t depth_min = 0, depth_max = UINT64_MAX;
  bool empty = false, zero = false, remove = false, json = false, count = false, print = false;
};

Bound parse_bound(const std::string& option, std::string text) {
  Bound bound;
  const std::string given = text;
  if (text.starts_with('+') || text.starts_with('-')) {
    bound.sign = text[0];
    text.erase(0, 1);
  }
  const auto number = parse_integer(text);
  if (!number) throw CLI::ValidationError(option + ": \"" + given + "\": " + number.error());
  bound.number = *number;
  return bound;
}

SizeBound parse_size_bound(std::string text) {
  constexpr std::pair<char, std::uint64_t> kUnits[] = {{'c', 1},    {'w', 2},    {'b', 512},
                                                       {'k', kKiB}, {'M', kMiB}, {'G', kGiB}};
  SizeBound size;
  for (const auto& [letter, bytes] : kUnits) {
    if (!text.ends_with(letter)) continue;
    size.unit_bytes = bytes;
    text.pop_back();
    break;
  }
  size.bound = parse_bound("--size", text);
  return size;
}

class Finder {
 public:
  Finder(Files& files, const FindOptions& options) : files_(files), options_(options) {}

  int run(const Words& words) {
    if (!options_.newer.empty()) {
      const auto st = files_.stat(path_of(options_.newer));
      if (!st) return kFailure;
      newer_than_ns_ = st->mtime_ns;
    }
    now_ns_ = std::chrono::duration_cast<std::chrono::nanoseconds>(
                  std::chrono::system_clock::now().time_since_epoch())
                  .count();
    for (const std::string& word : words) {
      const std::string path = path_of(word);
      const auto st = files_.stat(path, false);
      if (st) find({path, base_name(path), st->mode, *st}, 0);
    }
    if (options_.json) put_out(found_ == 0 ? "[]\n" : "\n]\n");
    if (options_.count) put_out(fmt::format("{} of {}\n", found_, seen_));
    return files_.status();
  }

 private:
  struct Item {
    std::string path, name;
    std::uint32_t type;
    std::optional<Stat> st;
  };

  bool wants_attributes() const {
    return options_.size || options_.days || options_.minutes || !options_.newer.empty() ||
           options_.empty || options_.json;
  }

  /// An item and what is below it: the item first, unless it may be removed.
  void find(const Item& item, std::uint64_t depth) {
    if (!options_.remove) take(item, depth);
    if (S_ISDIR(item.type) && depth < options_.depth_max) {
      std::vector<Item> below;
      const int flags = wants_attributes() ? BENCHFS_DIR_STAT : 0;
      files_.each_entry(item.path, flags, [&](const Entry& entry) {
        if (flags != 0 && entry.has_stat == 0) return;  // removed meanwhile
        Item each{joined(item.path, entry.name), entry.name, entry.type, std::nullopt};
        if (entry.has_stat != 0) each.st = entry.stat;
        if (S_ISDIR(entry.type)) {
          below.push_back(std::move(each));
        } else {
          take(each, depth + 1);
        }
      });
      for (const Item& directory : below) find(directory, depth + 1);
    }
    if (options_.remove) take(item, depth);
  }

  void take(const Item& item, std::uint64_t depth) {
    if (depth < options_.depth_min) return;
    ++seen_;
    if (!fits(item)) return;
    if (options_.remove && !remove(item)) return;
    ++found_;
    if (options_.remove || options_.count) return;
    if (options_.json) {
      const std::string target = S_ISLNK(item.type) ? files_.link_target(item.path) : "";
      put_out(found_ == 1 ? "[\n  " : ",\n  ");
      put_out(json_object(item.path, *item.st, target));
      return;
    }
    put_out(options_.zero ? item.path : shown(item.path));
    put_out(options_.zero ? std::string_view("\0", 1) : std::string_view("\n"));
  }

  bool fits(const Item& item) {
    const FindOptions& o = options_;
    if (!o.type.empty() && o.type[0] != type_text(item.type)[0]) return false;
    if (!o.name.empty() && fnmatch(o.name.c_str(), item.name.c_str(), 0) != 0) return false;
    if (!o.any_case_name.empty() &&
        fnmatch(o.any_case_name.c_str(), item.name.c_str(), FNM_CASEFOLD) != 0) {
      return false;
    }
    if (!o.path.empty() && fnmatch(o.path.c_str(), item.path.c_str(), 0) != 0) return false;
    if (!wants_attributes()) return true;
    const Stat& st = *item.st;
    if (o.size) {
      const std::uint64_t unit = o.size->unit_bytes;
      if (!o.size->bound.holds(st.size / unit + (st.size % unit != 0 ? 1 : 0))) return false;
    }
    if (!o.newer.empty() && st.mtime_ns <= newer_than_ns_) return false;
    if (o.days && !fits_age(*o.days, st, 86'400)) return false;
    if (o.minutes && !fits_age(*o.minutes, st, 60)) return false;
    return !o.empty || is_empty(item);
  }

  /// Whole units that have passed since the last change.
  bool fits_age(const Bound& bound, const Stat& st, std::int64_t unit_s) const {
    const std::int64_t units = (now_ns_ - st.mtime_ns) / (unit_s * 1'000'000'000);
    return bound.holds(static_cast<std::uint64_t>(std::max<std::int64_t>(units, 0)));
  }

  bool is_empty(const Item& item) {
    if (S_ISREG(item.type)) return item.st->size == 0;
    if (!S_ISDIR(item.type)) return false;
    bool empty = true;
    return files_.each_entry(item.path, 0, [&](const Entry&) { empty = false; }) && empty;
  }

  bool remove(const Item& item) {
    const int error = S_ISDIR(item.type) ? benchfs_rmdir(files_, item.path.c_str())
                                         : benchfs_unlink(files_, item.path.c_str());
    if (error != 0) files_.complain(item.path, error);
    return error == 0;
  }

  Files& files_;
  FindOptions options_;
  std::int64_t newer_than_ns_ = 0, now_ns_ = 0;
  std::uint64_t seen_ = 0, found_ = 0;
};

/// "-name" for "--name": words that mean one condition to everybody who knows find(1), and would
/// else be read as five options of one letter.
constexpr std::string_view kConditions[] = {
    "-name", "-iname",    "-path",     "-type",  "-size",   "-newer",  "-mtime",
    "-mmin", "-maxdepth", "-mindepth", "-empty", "-print0", "-delete", "-print"};

}  // namespace

std::string find_word(const std::string& word) {
  const auto* const end = std::end(kConditions);
  return std::find(std::begin(kConditions), end, word) != end ? "-" + word : word;
}

Command make_find(CLI::App& benchfs) {
  auto options = std::make_shared<FindOptions>();
  auto words = std::make_shared<Words>();
  CLI::App* app = benchfs.add_subcommand("find", "Print the paths of what is below");
  app->add_option("PATH", *words, "Where to begin (default: /)")->type_name("");
  app->add_option("--name", options->name, "Only names that match, such as '*.h5'")
      ->type_name("PATTERN");
  app->add_option("--iname", options->any_case_name, "The same, in capitals or not")
      ->type_name("PATTERN");
  app->add_option("--path", options->path, "Only paths that match")->type_name("PATTERN");
  app->add_option("--type", options->type, "Only files (f), directories (d) or links (l)")
      ->check(CLI::IsMember({"f", "d", "l"}))
      ->type_name("f|d|l");
  app->add_option_function<std::string>(
         "--size", [options](const std::string& text) { options->size = parse_size_bound(text); },
         "Only of that size, more (+) or less (-); units c (bytes), b (512, default), k, M, G")
      ->type_name("[+-]N[UNIT]");
  app->add_option("--newer", options->newer, "Only what was changed after PATH")->type_name("PATH");
  app->add_option_function<std::string>(
         "--mtime",
         [options](const std::string& text) { options->days = parse_bound("--mtime", text); },
         "Only what was changed N days ago, before (+) or after (-)")
      ->type_name("[+-]N");
  app->add_option_function<std::string>(
         "--mmin",
         [options](const std::string& text) { options->minutes = parse_bound("--mmin", text); },
         "The same in minutes")
      ->type_name("[+-]N");
  app->add_option("--maxdepth", options->depth_max, "At most that far below")->type_name("N");
  app->add_option("--mindepth", options->depth_min, "At least that far below")->type_name("N");
  app->add_flag("--empty", options->empty, "Only empty files and directories");
  auto* zero =
      app->add_flag("-0,--print0", options->zero, "A zero byte after each path, not a new line");
  app->add_flag("--print", options->print, "Print the paths, as is done in any case");
  auto* remove = app->add_flag("--delete", options->remove, "Remove it; prints nothing");
  auto* json = app->add_flag("--json", options->json, "For programs");
  auto* count = app->add_flag("--count", options->count, "Print how many of how many instead");
  json->excludes(zero)->excludes(remove);
  count->excludes(zero)->excludes(json);
  app->footer("All conditions have to hold. One dash before their names does as well as two.");
  return files_command(app, std::make_shared<Where>(), words, 0,
                       [options](Files& files, const Words& given) {
                         return Finder(files, *options).run(given.empty() ? Words{"/"} : given);
                       });
}

}  // namespace benchfs::tools
