// `benchfs ls` and `benchfs stat`: what is there.
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdio>
#include <ctime>

#include "files.hpp"

namespace benchfs::tools {
namespace {

struct ListOptions {
  bool details = false, all = false, recursive = false, itself = false, json = false;
  bool slash = false;
};

std::string user_name(std::uint32_t uid) {
  const passwd* user = getpwuid(uid);
  return user != nullptr ? user->pw_name : std::to_string(uid);
}

std::string group_name(std::uint32_t gid) {
  const group* found = getgrgid(gid);
  return found != nullptr ? found->gr_name : std::to_string(gid);
}

std::string time_text(std::int64_t ns, const char* format) {
  const std::time_t seconds = ns / 1'000'000'000 - (ns % 1'000'000'000 < 0 ? 1 : 0);
  std::tm parts{};
  localtime_r(&seconds, &parts);
  char text[64];
  return {text, std::strftime(text, sizeof(text), format, &parts)};
}

/// As ls has it: the hour of what is recent, the year of the rest.
std::string short_time(std::int64_t ns) {
  const std::int64_t age = std::int64_t{std::time(nullptr)} - ns / 1'000'000'000;
  return time_text(ns, age > -3600 && age < 183 * 86400 ? "%b %e %H:%M" : "%b %e  %Y");
}

std::string exact_time(std::int64_t ns) {
  const std::int64_t rest = (ns % 1'000'000'000 + 1'000'000'000) % 1'000'000'000;
  return time_text(ns, "%Y-%m-%d %H:%M:%S") + fmt::format(".{:09} ", rest) + time_text(ns, "%z");
}

class Lister {
 public:
  Lister(Files& files, const ListOptions& options) : files_(files), options_(options) {}

  int run(const std::vector<std::string>& words) {
    std::vector<Row> single;
    std::vector<std::string> directories;
    for (const std::string& word : words) {
      const std::string path = path_of(word);
      const auto st = files_.stat(path, !options_.itself && !options_.details);
      if (!st) continue;
      const bool leads_to_directory =
          S_ISDIR(st->mode) ||
          (S_ISLNK(st->mode) && !options_.details && files_.is_directory(path));
      if (leads_to_directory && !options_.itself) {
        directories.push_back(path);
      } else {
        single.push_back({path, path, *st});
      }
    }
    headers_ = words.size() > 1 || options_.recursive;
    print(single);
    for (const std::string& path : directories) list(path);
    if (options_.json) put_out(objects_ == 0 ? "[]\n" : "\n]\n");
    return files_.status();
  }

 private:
  struct Row {
    std::string path, name;
    Stat st;
  };

  void list(const std::string& path) {
    if (headers_ && !options_.json) {
      put_out(fmt::format("{}{}:\n", printed_ ? "\n" : "", shown(path)));
    }
    const bool full = options_.details || options_.json;
    std::vector<Row> rows;
    std::vector<std::string> below;
    for (const Entry& entry : files_.sorted(path, full ? BENCHFS_DIR_STAT : 0, options_.all)) {
      if (full && entry.has_stat == 0) continue;  // removed meanwhile
      rows.push_back({joined(path, entry.name), entry.name, entry.stat});
      rows.back().st.mode |= entry.type;  // also without attributes
      if (S_ISDIR(entry.type)) below.push_back(rows.back().path);
    }
    print(rows);
    printed_ = true;
    if (!options_.recursive) return;
    for (const std::string& directory : below) list(directory);
  }

  void print(const std::vector<Row>& rows) {
    printed_ |= !rows.empty();
    if (options_.json) {
      for (const Row& row : rows) {
        const std::string target = S_ISLNK(row.st.mode) ? files_.link_target(row.path) : "";
        put_out(objects_++ == 0 ? "[\n  " : ",\n  ");
        put_out(json_object(row.path, row.st, target));
      }
    } else if (options_.details) {
      print_details(rows);
    } else {
      for (const Row& row : rows) {
        put_out(shown(row.name) + (options_.slash && S_ISDIR(row.st.mode) ? "/\n" : "\n"));
      }
    }
  }

  void print_details(const std::vector<Row>& rows) {
    std::size_t user = 0, group = 0, size = 0;
    for (const Row& row : rows) {
      user = std::max(user, user_name(row.st.uid).size());
      group = std::max(group, group_name(row.st.gid).size());
      size = std::max(size, std::to_string(row.st.size).size());
    }
    for (const Row& row : rows) {
      std::string line =
          fmt::format("{} {} {:<{}} {:<{}} {:>{}} {} {}", mode_text(row.st.mode), row.st.nlink,
                      user_name(row.st.uid), user, group_name(row.st.gid), group, row.st.size, size,
                      short_time(row.st.mtime_ns), shown(row.name));
      if (options_.slash && S_ISDIR(row.st.mode)) line += "/";
      if (S_ISLNK(row.st.mode)) line += " -> " + shown(files_.link_target(row.path));
      put_out(line + "\n");
    }
  }

  Files& files_;
  ListOptions options_;
  bool headers_ = false;
  bool printed_ = false;
  std::size_t objects_ = 0;
};

int show_stat(Files& files, const std::vector<std::string>& words, bool follow, bool json) {
  std::size_t objects = 0;
  for (const std::string& word : words) {
    const std::string path = path_of(word);
    const auto st = files.stat(path, follow);
    if (!st) continue;
    const std::string target = S_ISLNK(st->mode) ? files.link_target(path) : "";
    if (json) {
      put_out(objects++ == 0 ? "[\n  " : ",\n  ");
      put_out(json_object(path, *st, target));
      continue;
    }
    put_out(fmt::format(
        "  path: {}{}\n  type: {}\n  size: {}\n inode: {:016x}\n  mode: {} ({:04o})\n links: {}\n"
        " owner: {} ({}), {} ({})\n",
        shown(path), S_ISLNK(st->mode) ? " -> " + shown(target) : "", type_text(st->mode), st->size,
        st->inode, mode_text(st->mode), st->mode & 07777, st->nlink, user_name(st->uid), st->uid,
        group_name(st->gid), st->gid));
    if (S_ISREG(st->mode)) put_out(fmt::format(" chunk: {}\n", st->chunk_bytes));
    put_out(fmt::format("access: {}\nmodify: {}\nchange: {}\n", exact_time(st->atime_ns),
                        exact_time(st->mtime_ns), exact_time(st->ctime_ns)));
  }
  if (json) put_out(objects == 0 ? "[]\n" : "\n]\n");
  return files.status();
}

}  // namespace

Command make_ls(CLI::App& benchfs) {
  auto options = std::make_shared<ListOptions>();
  auto words = std::make_shared<std::vector<std::string>>();
  CLI::App* app = benchfs.add_subcommand("ls", "List directories");
  app->add_option("PATH", *words, "What to list (default: /)")->type_name("");
  app->add_flag("-l", options->details, "Mode, links, owner, group, size, time of change");
  app->add_flag("-a,--all", options->all, "Names that begin with a dot, too");
  app->add_flag("-R,--recursive", options->recursive, "What is below as well");
  app->add_flag("-d,--directory", options->itself, "A directory itself, not what is in it");
  app->add_flag("-p", options->slash, "A slash after the names of directories");
  app->add_flag("--json", options->json, "For programs");
  return files_command(app, std::make_shared<Where>(), words, 0,
                       [options](Files& files, const std::vector<std::string>& given) {
                         const std::vector<std::string> root{"/"};
                         return Lister(files, *options).run(given.empty() ? root : given);
                       });
}

Command make_stat(CLI::App& benchfs) {
  struct Options {
    bool follow = false, json = false;
  };
  auto options = std::make_shared<Options>();
  auto words = std::make_shared<std::vector<std::string>>();
  CLI::App* app = benchfs.add_subcommand("stat", "Show attributes");
  app->add_option("PATH", *words, "Files, directories, links")->type_name("");
  app->add_flag("-L,--dereference", options->follow, "Of what a symbolic link leads to");
  app->add_flag("--json", options->json, "For programs");
  return files_command(app, std::make_shared<Where>(), words, 1,
                       [options](Files& files, const std::vector<std::string>& given) {
                         return show_stat(files, given, options->follow, options->json);
                       });
}

}  // namespace benchfs::tools
