// `benchfs du`, `benchfs tree`: what is below a directory. Symbolic links are shown and not
// followed.
#include <sys/stat.h>

#include <cstdio>

#include "base/text.hpp"
#include "files.hpp"

namespace benchfs::tools {
namespace {

// ---- du ----

struct UsageOptions {
  bool summary = false, human = false, json = false;
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
    if (options_.json) put_out(objects_ == 0 ? "[]\n" : "\n]\n");
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
    if (options_.json) {
      put_out(objects_++ == 0 ? "[\n  " : ",\n  ");
      put_out(fmt::format("{{\"path\": {}, \"bytes\": {}}}", json_string(path), bytes));
      return;
    }
    const std::string size = options_.human ? format_bytes(bytes) : std::to_string(bytes);
    put_out(fmt::format("{}\t{}\n", size, shown(path)));
  }

  Files& files_;
  UsageOptions options_;
  std::size_t objects_ = 0;
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
  auto* human = app->add_flag("--human-readable", options->human, "Sizes as 1.5 MiB");
  app->add_flag("--json", options->json, "For programs")->excludes(human);
  return files_command(app, std::make_shared<Where>(), words, 0,
                       [options](Files& files, const std::vector<std::string>& given) {
                         return Usage(files, *options).run(or_root(given));
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
