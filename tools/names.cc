// `benchfs mv` and `ln`: what gives files other names, or more of them.
#include <sys/stat.h>

#include <cerrno>

#include "files.hpp"

namespace benchfs::tools {
namespace {

using Words = std::vector<std::string>;

// ---- mv ----

struct MoveOptions {
  bool keep = false, exchange = false, plain = false, verbose = false, force = false;
};

class Mover {
 public:
  Mover(Files& files, const MoveOptions& options) : files_(files), options_(options) {}

  int run(const Words& words) {
    const std::string last = path_of(words.back());
    const bool into = !options_.plain && !options_.exchange && files_.is_directory(last);
    if (words.size() > 2 && !into) {
      files_.complain(last, std::string(options_.plain || options_.exchange
                                            ? "there is more than one to move to it"
                                            : "not a directory"));
      return files_.status();
    }
    for (std::size_t i = 0; i + 1 < words.size(); ++i) {
      const std::string from = path_of(words[i]);
      move(from, into ? joined(last, base_name(from)) : last);
    }
    return files_.status();
  }

 private:
  void move(const std::string& from, const std::string& to) {
    unsigned flags = 0;
    if (options_.keep) flags = BENCHFS_RENAME_NOREPLACE;
    if (options_.exchange) flags = BENCHFS_RENAME_EXCHANGE;
    const int error = benchfs_rename(files_, from.c_str(), to.c_str(), flags);
    if (error == -EEXIST && options_.keep) return;
    if (error != 0) {
      files_.complain(from + " to " + to, error);
    } else if (options_.verbose) {
      put_out("renamed " + shown(from) + " -> " + shown(to) + "\n");
    }
  }

  Files& files_;
  MoveOptions options_;
};

// ---- ln ----

struct LinkOptions {
  bool symbolic = false, force = false;
};

int make_link(Files& files, const Words& words, const LinkOptions& options) {
  if (words.size() > 2) {
    print_error("ln", "more than a target and a link");
    return kUsage;
  }
  const std::string target = path_of(words[0]);
  std::string path = path_of(words[1]);
  if (files.is_directory(path)) path = joined(path, base_name(words[0]));
  const auto make = [&] {
    return options.symbolic ? benchfs_symlink(files, target.c_str(), path.c_str())
                            : benchfs_link(files, target.c_str(), path.c_str());
  };
  int error = make();
  if (error == -EEXIST && options.force) {
    // Not what is to be linked: it would be gone.
    Stat old_stat{}, new_stat{};
    const bool same = !options.symbolic && benchfs_lstat(files, target.c_str(), &old_stat) == 0 &&
                      benchfs_lstat(files, path.c_str(), &new_stat) == 0 &&
                      old_stat.inode == new_stat.inode;
    if (same) return files.status();
    error = benchfs_unlink(files, path.c_str());
    if (error == 0) error = make();
  }
  if (error != 0) files.complain(path, error);
  return files.status();
}

}  // namespace

Command make_mv(CLI::App& benchfs) {
  auto options = std::make_shared<MoveOptions>();
  auto words = std::make_shared<Words>();
  CLI::App* app = benchfs.add_subcommand("mv", "Rename, or move to another directory");
  app->add_option("SOURCE DEST", *words, "What gets another name, and the name or a directory")
      ->type_name("");
  app->add_flag("-f,--force", options->force, "Replace what is there (as without it)");
  app->add_flag("-n,--no-clobber", options->keep, "Leave what is there, and say nothing")
      ->excludes("--force");
  app->add_flag("-T,--no-target-directory", options->plain,
                "DEST is the name, even of a directory, which has to be empty");
  app->add_flag("--exchange", options->exchange, "The two change places")->excludes("--no-clobber");
  app->add_flag("-v,--verbose", options->verbose, "Say what is done");
  return files_command(
      app, std::make_shared<Where>(), words, 2,
      [options](Files& files, const Words& given) { return Mover(files, *options).run(given); });
}

Command make_ln(CLI::App& benchfs) {
  auto options = std::make_shared<LinkOptions>();
  auto words = std::make_shared<Words>();
  CLI::App* app = benchfs.add_subcommand("ln", "Make links");
  app->add_option("TARGET LINK", *words, "What to link, and the new name or its directory")
      ->type_name("");
  app->add_flag("-s,--symbolic", options->symbolic, "A symbolic link, not one more name");
  app->add_flag("-f,--force", options->force, "Remove what has the new name");
  return files_command(
      app, std::make_shared<Where>(), words, 2,
      [options](Files& files, const Words& given) { return make_link(files, given, *options); });
}

}  // namespace benchfs::tools
