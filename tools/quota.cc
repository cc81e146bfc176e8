// `benchfs quota set`, `show`, `remove`: limits of directories, and what is used of them.
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <expected>

#include "base/text.hpp"
#include "base/types.hpp"
#include "files.hpp"
#include "status.hpp"

namespace benchfs::tools {
namespace {

using Words = std::vector<std::string>;
using Quota = struct benchfs_quota;

struct QuotaOptions {
  Where where;
  Words words;
  std::string bytes, files;
  bool recursive = false, human = false, json = false;
};

/// What an errno means for a quota the library says best.
void complain(Files& files, const std::string& path, int error) {
  constexpr int kOwn[] = {ENODATA, ENOTEMPTY, EBUSY, ENOSPC, EINVAL};
  const std::string text = benchfs_error();
  const std::string mark = " benchfs:" + path + ": ";
  const std::size_t at = text.find(mark);
  if (std::find(std::begin(kOwn), std::end(kOwn), -error) == std::end(kOwn)) {
    files.complain(path, error);
  } else {
    files.complain(path, at == text.npos ? text : text.substr(at + mark.size()));
  }
}

// ---- set ----

/// "10G", "1000", "none"; nothing given: it stays. `read` reads a number.
template <class Read>
std::optional<std::uint64_t> limit_of(const std::string& option, const std::string& text,
                                      Read read) {
  if (text.empty()) return BENCHFS_QUOTA_KEEP;
  if (text == "none") return 0;
  const auto value = read(text);
  if (value && *value != 0 && *value < (1ull << 62)) return *value;
  print_error("quota set",
              fmt::format("{} {}: {}", option, text,
                          value ? "not from 1 to 2^62; \"none\" ends a limit" : value.error()));
  return std::nullopt;
}

/// As users of other tools write sizes: "10G" is 10 GiB.
std::expected<std::uint64_t, std::string> size_of(const std::string& text) {
  const bool short_unit = text.size() > 1 && std::strchr("KMGTP", text.back()) != nullptr;
  return parse_size(short_unit ? text + "iB" : text);
}

int set_quotas(Files& files, const QuotaOptions& options) {
  const auto bytes = limit_of("--bytes", options.bytes, size_of);
  const auto count = limit_of("--files", options.files,
                              [](const std::string& text) { return parse_integer(text); });
  if (!bytes || !count) return kUsage;
  for (const std::string& word : options.words) {
    const std::string path = path_of(word);
    const int error = benchfs_quota_set(files, path.c_str(), *bytes, *count);
    if (error != 0) complain(files, path, error);
  }
  return files.status();
}

int remove_quotas(Files& files, const QuotaOptions& options) {
  for (const std::string& word : options.words) {
    const std::string path = path_of(word);
    const int error = benchfs_quota_remove(files, path.c_str());
    if (error != 0) complain(files, path, error);
  }
  return files.status();
}

// ---- show ----

class QuotaReport {
 public:
  QuotaReport(Files& files, const QuotaOptions& options) : files_(files), options_(options) {}

  int run() {
    // Without a path, all there are.
    const bool all = options_.words.empty() || options_.recursive;
    const Words words = options_.words.empty() ? Words{"/"} : options_.words;
    for (const std::string& word : words) {
      const std::string path = path_of(word);
      Quota quota{};
      const int error = benchfs_quota_get(files_, path.c_str(), &quota);
      if (error == 0) {
        add(path, quota);
      } else if (error != -ENODATA || !all) {
        complain(files_, path, error);
        continue;
      }
      if (!all) continue;
      if (const auto st = files_.stat(path); st) look_below(path, *st);
    }
    put_out(options_.json ? fmt::format("{{\"quotas\": [{}{}{}]}}\n", objects_.empty() ? "" : "\n",
                                        fmt::join(objects_, ",\n"), objects_.empty() ? "" : "\n")
                          : aligned(rows_, 1));
    return files_.status();
  }

 private:
  /// A directory with a quota of its own counts for another one than the directory it is in.
  void look_below(const std::string& path, const Stat& st) {
    if (!S_ISDIR(st.mode)) return;
    std::vector<Entry> directories;
    files_.each_entry(path, 0, [&](const Entry& entry) {
      if (S_ISDIR(entry.type)) directories.push_back(entry);
    });
    std::sort(directories.begin(), directories.end(),
              [](const Entry& a, const Entry& b) { return std::strcmp(a.name, b.name) < 0; });
    for (const Entry& entry : directories) {
      const std::string below = joined(path, entry.name);
      if (quota_of(entry.inode) != 0 && quota_of(entry.inode) != quota_of(st.inode)) {
        Quota quota{};
        const int error = benchfs_quota_get(files_, below.c_str(), &quota);
        if (error == 0) {
          add(below, quota);
        } else if (error != -ENODATA && error != -ENOENT) {
          complain(files_, below, error);
        }
      }
      Stat next{};
      next.inode = entry.inode;
      next.mode = entry.type;
      look_below(below, next);
    }
  }

  std::string size(std::uint64_t bytes) const {
    return options_.human ? format_bytes(bytes) : std::to_string(bytes);
  }
  static std::string use(std::uint64_t used, std::uint64_t limit) {
    if (limit == 0) return "-";
    return fmt::format("{:.0f}%",
                       100.0 * static_cast<double>(used) / static_cast<double>(limit) + 0.49);
  }
  void add(const std::string& path, const Quota& quota) {
    const auto limit = [](std::uint64_t value) {
      return value == 0 ? std::string("null") : std::to_string(value);
    };
    objects_.push_back(
        fmt::format("  {{\"path\": {}, \"id\": {}, \"bytes_used\": {}, \"bytes_limit\": {}, "
                    "\"files_used\": {}, \"files_limit\": {}}}",
                    json_string(path), quota.id, quota.bytes_used, limit(quota.bytes_limit),
                    quota.files_used, limit(quota.files_limit)));
    rows_.push_back({shown(path), size(quota.bytes_used),
                     quota.bytes_limit == 0 ? "none" : size(quota.bytes_limit),
                     use(quota.bytes_used, quota.bytes_limit), std::to_string(quota.files_used),
                     quota.files_limit == 0 ? "none" : std::to_string(quota.files_limit),
                     use(quota.files_used, quota.files_limit)});
  }

  Files& files_;
  const QuotaOptions& options_;
  std::vector<Row> rows_{{"path", "bytes", "limit", "use", "files", "limit", "use"}};
  std::vector<std::string> objects_;
};

int show_quotas(Files& files, const QuotaOptions& options) {
  return QuotaReport(files, options).run();
}

// ---- the command ----

using Part = int (*)(Files&, const QuotaOptions&);

int run_part(const CLI::App& part, Part run, QuotaOptions& options,
             const std::vector<std::string>& rest) {
  options.words.insert(options.words.end(), rest.begin(), rest.end());
  const std::string name = "quota " + part.get_name();
  const bool limits = part.get_name() != "set" || !options.bytes.empty() || !options.files.empty();
  if (!limits || (options.words.empty() && part.get_name() != "show")) {
    print_error(name, limits ? "an argument is missing" : "--bytes or --files is missing");
    std::fprintf(stderr, "Try: benchfs %s --help\n", name.c_str());
    return kUsage;
  }
  const auto files = Files::connect(name, options.where);
  if (files == nullptr) return kFailure;
  const int status = run(*files, options);
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return status;
  files->complain("standard output", std::string(std::strerror(errno)));
  return kFailure;
}

}  // namespace

Command make_quota(CLI::App& benchfs) {
  auto options = std::make_shared<QuotaOptions>();
  CLI::App* app = benchfs.add_subcommand("quota", "Limits for directories, and their use");
  app->group("Commands on files");
  app->require_subcommand(1);
  app->get_formatter()->label("SUBCOMMAND", "COMMAND");
  CLI::App* set = app->add_subcommand("set", "Limit what is below directories");
  set->add_option("--bytes", options->bytes, "Storage, such as 10GiB (or 10G); none: no limit")
      ->type_name("SIZE");
  set->add_option("--files", options->files, "Files, directories and links; none: no limit")
      ->type_name("N");
  set->footer(
      "A limit that is not given stays as it is. The first time a directory has to be empty. "
      "What is\n"
      "below counts for the quota all its life: it is copied, not moved, to other places.");
  CLI::App* show = app->add_subcommand("show", "Show limits and use, in bytes and files");
  show->set_help_flag("--help", "Print this help message and exit");
  show->add_flag("-r,--recursive", options->recursive, "Also of all directories below");
  show->add_flag("-h,--human-readable", options->human, "Sizes as 1.5 MiB");
  show->add_flag("--json", options->json, "For programs");
  show->footer("Of any path that counts for a quota; without a path, all quotas there are.");
  CLI::App* remove = app->add_subcommand("remove", "End the limits of directories");
  const std::pair<CLI::App*, Part> parts[] = {
      {set, set_quotas}, {show, show_quotas}, {remove, remove_quotas}};
  for (const auto& [part, run] : parts) {
    part->add_option("PATH", options->words, "Directories")->type_name("");
    add_where(*part, options->where);
  }
  return {app, true,
          [options, parts = std::vector(std::begin(parts), std::end(parts))](
              const std::vector<std::string>& rest) {
            for (const auto& [part, run] : parts) {
              if (part->parsed()) return run_part(*part, run, *options, rest);
            }
            return kUsage;
          }};
}

}  // namespace benchfs::tools
