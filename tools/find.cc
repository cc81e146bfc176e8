// `benchfs find`: what is below a directory and fits the conditions. They are those of find(1),
// also with one dash; all have to hold. Symbolic links are shown and not followed.
//
// The servers look at the entries (benchfs_opendir_match): this side hears of what fits, and of the
// directories to go on in. Patterns of whole paths and emptiness of directories are left to it.
#include <fnmatch.h>
#include <sys/stat.h>

#include <chrono>
#include <cstdio>

#include "base/match.hpp"
#include "base/text.hpp"
#include "files.hpp"

namespace benchfs::tools {
namespace {

using Words = std::vector<std::string>;

/// "+N": more than N, "-N": less, "N": exactly.
struct Bound {
  char sign = '=';
  std::uint64_t number = 0;
};

/// What lies within, both ends included; nothing, if `min` is above `max`.
template <class Value>
struct Range {
  Value min, max;
};

/// A size in units, to which a file's size is rounded up, as find(1) does.
struct SizeBound {
  Bound bound;
  std::uint64_t unit_bytes = 512;
  /// Of bytes.
  Range<std::uint64_t> range() const {
    constexpr Range<std::uint64_t> kNone{1, 0};
    const auto times = [this](std::uint64_t units) {
      return units > UINT64_MAX / unit_bytes ? UINT64_MAX : units * unit_bytes;
    };
    const std::uint64_t n = bound.number;
    const std::uint64_t end = times(n);  // the largest size of n units
    if (bound.sign == '+') return end == UINT64_MAX ? kNone : Range{end + 1, UINT64_MAX};
    if (bound.sign == '-') return n == 0 ? kNone : Range{std::uint64_t{0}, times(n - 1)};
    if (n == 0) return {0, 0};
    return times(n - 1) == UINT64_MAX ? kNone : Range{times(n - 1) + 1, end};
  }
};

/// Of the times of what was changed so many whole units before `now_ns`. What is yet to come counts
/// as now.
Range<std::int64_t> age_range(const Bound& bound, std::int64_t now_ns, std::int64_t unit_s) {
  const auto before = [&](std::uint64_t units) {
    const auto ns =
        static_cast<__int128>(now_ns) - static_cast<__int128>(units) * unit_s * 1'000'000'000;
    return static_cast<std::int64_t>(std::max<__int128>(ns, INT64_MIN));
  };
  const std::uint64_t n = bound.number;
  if (bound.sign == '+') return {INT64_MIN, n == UINT64_MAX ? INT64_MIN : before(n + 1)};
  if (bound.sign == '-' && n == 0) return {1, 0};
  if (bound.sign == '-') return {before(n) + 1, INT64_MAX};
  return {n == UINT64_MAX ? INT64_MIN : before(n + 1) + 1, n == 0 ? INT64_MAX : before(n)};
}

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
    make_match();
    for (const std::string& word : words) {
      const std::string path = path_of(word);
      const auto st = files_.stat(path, false);
      if (st) begin(path, *st);
    }
    if (options_.json) put_out(found_ == 0 ? "[]\n" : "\n]\n");
    if (options_.count) put_out(fmt::format("{} of {}\n", found_, seen_));
    return files_.status();
  }

 private:
  struct Item {
    std::string path;
    std::uint32_t type;
    bool fits;
    Stat st;  ///< with --json alone
  };

  template <class Value>
  static void narrow(Value& min, Value& max, Range<Value> to) {
    min = std::max(min, to.min);
    max = std::min(max, to.max);
  }
  void make_match() {
    const FindOptions& o = options_;
    const std::int64_t now_ns = std::chrono::duration_cast<std::chrono::nanoseconds>(
                                    std::chrono::system_clock::now().time_since_epoch())
                                    .count();
    match_.name = o.name;
    match_.any_case_name = o.any_case_name;
    if (o.type == "f") match_.types = Match::kFiles;
    if (o.type == "d") match_.types = Match::kDirectories;
    if (o.type == "l") match_.types = Match::kLinks;
    match_.empty = o.empty;
    std::int64_t& min = match_.mtime_min_ns;
    std::int64_t& max = match_.mtime_max_ns;
    if (o.size) narrow(match_.size_min, match_.size_max, o.size->range());
    if (!o.newer.empty()) narrow(min, max, {newer_than_ns_ + 1, INT64_MAX});
    if (o.days) narrow(min, max, age_range(*o.days, now_ns, 86'400));
    if (o.minutes) narrow(min, max, age_range(*o.minutes, now_ns, 60));
  }

  void begin(const std::string& path, const Stat& st) {
    const bool fits = name_fits(match_, st.mode, base_name(path)) &&
                      attributes_fit(match_, st.mode, st.size, st.mtime_ns);
    if (options_.depth_min == 0) ++seen_;
    find({path, st.mode, fits, st}, 0);
  }

  /// An item and what is below it: the item first, unless it may be removed.
  void find(const Item& item, std::uint64_t depth) {
    if (!options_.remove) take(item, depth);
    if (S_ISDIR(item.type) && depth < options_.depth_max) {
      std::vector<Item> below;
      search(item.path, depth + 1, &below);
      for (const Item& directory : below) find(directory, depth + 1);
    }
    if (options_.remove) take(item, depth);
  }

  /// What is in a directory; the directories there are left to the caller.
  void search(const std::string& path, std::uint64_t depth, std::vector<Item>* below) {
    const struct benchfs_match match {
      .name = match_.name.c_str(), .any_case_name = match_.any_case_name.c_str(),
      .size_min = match_.size_min, .size_max = match_.size_max, .mtime_min_ns = match_.mtime_min_ns,
      .mtime_max_ns = match_.mtime_max_ns,
      .types = match_.types | (match_.empty ? BENCHFS_MATCH_EMPTY : 0), .zero = 0
    };
    const int flags = (options_.json ? BENCHFS_DIR_STAT : 0) |
                      (depth < options_.depth_max ? BENCHFS_DIR_DESCEND : 0);
    const std::uint64_t seen = files_.each_match(path, match, flags, [&](const Entry& entry) {
      Item each{joined(path, entry.name), entry.type, entry.fits != 0, entry.stat};
      if (S_ISDIR(entry.type)) {
        below->push_back(std::move(each));
      } else {
        take(each, depth);
      }
    });
    if (depth >= options_.depth_min) seen_ += seen;
  }

  void take(const Item& item, std::uint64_t depth) {
    if (depth < options_.depth_min || !fits(item)) return;
    if (options_.remove && !remove(item)) return;
    ++found_;
    if (options_.remove || options_.count) return;
    if (options_.json) {
      const std::string target = S_ISLNK(item.type) ? files_.link_target(item.path) : "";
      put_out(found_ == 1 ? "[\n  " : ",\n  ");
      put_out(json_object(item.path, item.st, target));
      return;
    }
    put_out(options_.zero ? item.path : shown(item.path));
    put_out(options_.zero ? std::string_view("\0", 1) : std::string_view("\n"));
  }

  /// What the servers have left open.
  bool fits(const Item& item) {
    if (!item.fits) return false;
    const std::string& pattern = options_.path;
    if (!pattern.empty() && fnmatch(pattern.c_str(), item.path.c_str(), 0) != 0) return false;
    return !options_.empty || !S_ISDIR(item.type) || is_empty(item.path);
  }

  bool is_empty(const std::string& path) {
    bool empty = true;
    return files_.each_entry(path, 0, [&](const Entry&) { empty = false; }) && empty;
  }

  bool remove(const Item& item) {
    const int error = S_ISDIR(item.type) ? benchfs_rmdir(files_, item.path.c_str())
                                         : benchfs_unlink(files_, item.path.c_str());
    if (error != 0) files_.complain(item.path, error);
    return error == 0;
  }

  Files& files_;
  FindOptions options_;
  std::int64_t newer_than_ns_ = 0;
  Match match_;
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
