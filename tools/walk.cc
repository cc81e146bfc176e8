// `benchfs du`, `benchfs find`, `benchfs tree`: what is below a directory. Symbolic links are shown
// and not followed.
#include <fnmatch.h>
#include <sys/stat.h>

#include <cstdio>

#include "base/text.hpp"
#include "files.hpp"

namespace benchfs::tools {
namespace {

// ---- du ----

struct UsageOptions {
  bool summary = false, human = false;
};

class Usage {
 public:
  Usage(Files& files, const UsageOptions& options) : files_(files), options_(options) {}

  int run(const std::vector<std::string>& words) {
    for (const std::string& word : words) {
      const std::string path = path_of(word);
      const auto st = files_.stat(path, false);
      if (!st) continue;
      if (S_ISDIR(st->mode)) {
        sum(path, true);
      } else {
        print(st->size, path);
      }
    }
    return files_.status();
  }

 private:
  std::uint64_t sum(const std::string& path, bool given) {
    std::uint64_t bytes = 0;
    std::vector<std::string> below;
    files_.each_entry(path, BENCHFS_DIR_STAT, [&](const Entry& entry) {
      if (S_ISDIR(entry.type)) {
        below.push_back(joined(path, entry.name));
      } else if (S_ISREG(entry.type) && entry.has_stat != 0) {
        bytes += entry.stat.size;
      }
    });
    for (const std::string& directory : below) bytes += sum(directory, false);
    if (given || !options_.summary) print(bytes, path);
    return bytes;
  }
  void print(std::uint64_t bytes, const std::string& path) {
    const std::string size = options_.human ? format_bytes(bytes) : std::to_string(bytes);
    put_out(fmt::format("{}\t{}\n", size, shown(path)));
  }

  Files& files_;
  UsageOptions options_;
};

// ---- find ----

struct FindOptions {
  std::string name, type;
  bool zero = false;
};

class Finder {
 public:
  Finder(Files& files, const FindOptions& options) : files_(files), options_(options) {}

  int run(const std::vector<std::string>& words) {
    for (const std::string& word : words) {
      const std::string path = path_of(word);
      const auto st = files_.stat(path, false);
      if (!st) continue;
      print(path, base_name(path), st->mode);
      if (S_ISDIR(st->mode)) find(path);
    }
    return files_.status();
  }

 private:
  void find(const std::string& path) {
    std::vector<std::string> below;
    files_.each_entry(path, 0, [&](const Entry& entry) {
      const std::string full = joined(path, entry.name);
      print(full, entry.name, entry.type);
      if (S_ISDIR(entry.type)) below.push_back(full);
    });
    for (const std::string& directory : below) find(directory);
  }
  void print(const std::string& path, const std::string& name, std::uint32_t mode) {
    if (!options_.type.empty() && options_.type[0] != type_text(mode)[0]) return;
    if (!options_.name.empty() && fnmatch(options_.name.c_str(), name.c_str(), 0) != 0) return;
    put_out(options_.zero ? path : shown(path));
    put_out(options_.zero ? std::string_view("\0", 1) : std::string_view("\n"));
  }

  Files& files_;
  FindOptions options_;
};

// ---- tree ----

class Tree {
 public:
  Tree(Files& files, bool all) : files_(files), all_(all) {}

  int run(const std::vector<std::string>& words) {
    for (const std::string& word : words) {
      const std::string path = path_of(word);
      const auto st = files_.stat(path);
      if (!st) continue;
      put_out(shown(path) + "\n");
      if (S_ISDIR(st->mode)) {
        draw(path, "");
      } else {
        ++others_;
      }
    }
    put_out(fmt::format("\n{} {}, {} {}\n", directories_,
                        directories_ == 1 ? "directory" : "directories", others_,
                        others_ == 1 ? "file" : "files"));
    return files_.status();
  }

 private:
  void draw(const std::string& path, const std::string& before) {
    const std::vector<Entry> entries = files_.sorted(path, 0, all_);
    for (std::size_t i = 0; i < entries.size(); ++i) {
      const Entry& entry = entries[i];
      const std::string full = joined(path, entry.name);
      const bool last = i + 1 == entries.size();
      const std::string target =
          S_ISLNK(entry.type) ? " -> " + shown(files_.link_target(full)) : std::string();
      put_out(fmt::format("{}{} {}{}\n", before, last ? "└──" : "├──", shown(entry.name), target));
      if (S_ISDIR(entry.type)) {
        ++directories_;
        draw(full, before + (last ? "    " : "│   "));
      } else {
        ++others_;
      }
    }
  }

  Files& files_;
  bool all_;
  std::uint64_t directories_ = 0, others_ = 0;
};

std::vector<std::string> or_root(const std::vector<std::string>& words) {
  return words.empty() ? std::vector<std::string>{"/"} : words;
}

}  // namespace

Command make_du(CLI::App& benchfs) {
  auto options = std::make_shared<UsageOptions>();
  auto words = std::make_shared<std::vector<std::string>>();
  CLI::App* app = benchfs.add_subcommand("du", "Add up the sizes of files, in bytes");
  app->add_option("PATH", *words, "Files and directories (default: /)")->type_name("");
  app->add_flag("-s,--summarize", options->summary, "Only the sum of each argument");
  app->add_flag("--human-readable", options->human, "Sizes as 1.5 MiB");
  return files_command(app, std::make_shared<Where>(), words, 0,
                       [options](Files& files, const std::vector<std::string>& given) {
                         return Usage(files, *options).run(or_root(given));
                       });
}

Command make_find(CLI::App& benchfs) {
  auto options = std::make_shared<FindOptions>();
  auto words = std::make_shared<std::vector<std::string>>();
  CLI::App* app = benchfs.add_subcommand("find", "Print the paths of what is below");
  app->add_option("PATH", *words, "Where to begin (default: /)")->type_name("");
  app->add_option("--name", options->name, "Only names that match, such as '*.h5'")
      ->type_name("PATTERN");
  app->add_option("--type", options->type, "Only files (f), directories (d) or links (l)")
      ->check(CLI::IsMember({"f", "d", "l"}))
      ->type_name("f|d|l");
  app->add_flag("-0,--print0", options->zero, "A zero byte after each path, not a new line");
  return files_command(app, std::make_shared<Where>(), words, 0,
                       [options](Files& files, const std::vector<std::string>& given) {
                         return Finder(files, *options).run(or_root(given));
                       });
}

Command make_tree(CLI::App& benchfs) {
  auto all = std::make_shared<bool>(false);
  auto words = std::make_shared<std::vector<std::string>>();
  CLI::App* app = benchfs.add_subcommand("tree", "Draw what is below");
  app->add_option("PATH", *words, "Directories (default: /)")->type_name("");
  app->add_flag("-a,--all", *all, "Names that begin with a dot, too");
  return files_command(app, std::make_shared<Where>(), words, 0,
                       [all](Files& files, const std::vector<std::string>& given) {
                         return Tree(files, *all).run(or_root(given));
                       });
}

}  // namespace benchfs::tools
