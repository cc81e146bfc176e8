// `benchfs mkdir`, `rmdir`, `rm`, `touch`, `chmod`: what changes names and attributes.
#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

#include "files.hpp"
#include "mode.hpp"

namespace benchfs::tools {
namespace {

using Words = std::vector<std::string>;

// ---- mkdir ----

struct MkdirOptions {
  bool parents = false;
  std::string mode;
};

/// Makes `path` and what is missing above it.
int make_all(Files& files, const std::string& path, std::uint32_t mode, std::uint32_t above) {
  const int error = benchfs_mkdir(files, path.c_str(), mode);
  if (error == -EEXIST && files.is_directory(path)) return 0;
  if (error != -ENOENT) return error;
  const std::string name = base_name(path);
  const std::size_t end = path.rfind(name);
  if (name.empty() || end == 0 || path.find_first_not_of('/') == end) return error;
  const int made = make_all(files, path.substr(0, end), above, above);
  if (made != 0) return made;
  const int again = benchfs_mkdir(files, path.c_str(), mode);
  return again == -EEXIST && files.is_directory(path) ? 0 : again;
}

int make_directories(Files& files, const Words& words, const MkdirOptions& options) {
  const std::uint32_t usual = 0777 & ~umask_now();
  const auto mode = options.mode.empty() ? usual : changed_mode(options.mode, 0777, true);
  if (!mode) {
    files.complain(options.mode, std::string("not a mode"));
    return kUsage;
  }
  for (const std::string& word : words) {
    const std::string path = path_of(word);
    const int error = options.parents ? make_all(files, path, *mode, usual | 0300)
                                      : benchfs_mkdir(files, path.c_str(), *mode);
    if (error != 0) files.complain(path, error);
  }
  return files.status();
}

// ---- rm ----

struct RemoveOptions {
  bool recursive = false, force = false;
};

class Remover {
 public:
  Remover(Files& files, const RemoveOptions& options) : files_(files), options_(options) {}

  int run(const Words& words) {
    for (const std::string& word : words) {
      const std::string path = path_of(word);
      const std::string name = base_name(path);
      if (name.empty() || name == "." || name == "..") {
        files_.complain(path, std::string("refusing to remove it"));
        continue;
      }
      const int error = benchfs_unlink(files_, path.c_str());
      if (error == -EISDIR && options_.recursive) {
        remove_tree(path);
      } else if (error != 0 && !(error == -ENOENT && options_.force)) {
        files_.complain(path, error);
      }
    }
    return files_.status();
  }

 private:
  /// What is removed while a listing goes on does not disturb it.
  void remove_tree(const std::string& path) {
    std::vector<std::string> below;
    const bool all = files_.each_entry(path, 0, [&](const Entry& entry) {
      const std::string full = joined(path, entry.name);
      if (S_ISDIR(entry.type)) {
        below.push_back(full);
        return;
      }
      const int error = benchfs_unlink(files_, full.c_str());
      if (error != 0 && error != -ENOENT) files_.complain(full, error);
    });
    if (!all) return;
    for (const std::string& directory : below) remove_tree(directory);
    const int error = benchfs_rmdir(files_, path.c_str());
    if (error != 0 && error != -ENOENT) files_.complain(path, error);
  }

  Files& files_;
  RemoveOptions options_;
};

int remove_directories(Files& files, const Words& words) {
  for (const std::string& word : words) {
    const std::string path = path_of(word);
    const int error = benchfs_rmdir(files, path.c_str());
    if (error != 0) files.complain(path, error);
  }
  return files.status();
}

// ---- touch, chmod ----

int touch(Files& files, const Words& words, bool create) {
  for (const std::string& word : words) {
    const std::string path = path_of(word);
    int error = benchfs_utimens(files, path.c_str(), BENCHFS_TIME_NOW, BENCHFS_TIME_NOW, 0);
    if (error == -ENOENT && !create) continue;
    if (error == -ENOENT) {
      benchfs_file_t* file = nullptr;
      error = benchfs_open(files, path.c_str(), O_WRONLY | O_CREAT, 0666 & ~umask_now(), 0, &file);
      if (error == 0) error = benchfs_close(file);
    }
    if (error != 0) files.complain(path, error);
  }
  return files.status();
}

class ModeChanger {
 public:
  ModeChanger(Files& files, bool recursive) : files_(files), recursive_(recursive) {}

  int run(const Words& words) {
    const std::string& mode = words[0];
    if (!changed_mode(mode, 0, false)) {
      print_error("chmod", mode + ": not a mode");
      return kUsage;
    }
    for (std::size_t i = 1; i < words.size(); ++i) {
      const std::string path = path_of(words[i]);
      const auto st = files_.stat(path);
      if (st) change(mode, path, st->mode);
    }
    return files_.status();
  }

 private:
  void change(const std::string& mode, const std::string& path, std::uint32_t now) {
    const std::uint32_t then = *changed_mode(mode, now & 07777, S_ISDIR(now));
    const int error = benchfs_chmod(files_, path.c_str(), then);
    if (error != 0) files_.complain(path, error);
    if (!recursive_ || !S_ISDIR(now)) return;
    std::vector<Entry> below;
    files_.each_entry(path, BENCHFS_DIR_STAT, [&](const Entry& entry) {
      if (entry.has_stat != 0 && !S_ISLNK(entry.type)) below.push_back(entry);
    });
    for (const Entry& entry : below) change(mode, joined(path, entry.name), entry.stat.mode);
  }

  Files& files_;
  bool recursive_;
};

}  // namespace

Command make_mkdir(CLI::App& benchfs) {
  auto options = std::make_shared<MkdirOptions>();
  auto words = std::make_shared<Words>();
  CLI::App* app = benchfs.add_subcommand("mkdir", "Make directories");
  app->add_option("PATH", *words, "Directories to make")->type_name("");
  app->add_flag("-p,--parents", options->parents,
                "With what is missing above; no error if they are there");
  app->add_option("-m,--mode", options->mode, "Permissions (default: what the umask leaves)")
      ->type_name("MODE");
  return files_command(app, std::make_shared<Where>(), words, 1,
                       [options](Files& files, const Words& given) {
                         return make_directories(files, given, *options);
                       });
}

Command make_rmdir(CLI::App& benchfs) {
  auto words = std::make_shared<Words>();
  CLI::App* app = benchfs.add_subcommand("rmdir", "Remove empty directories");
  app->add_option("PATH", *words, "Directories to remove")->type_name("");
  return files_command(app, std::make_shared<Where>(), words, 1, remove_directories);
}

Command make_rm(CLI::App& benchfs) {
  auto options = std::make_shared<RemoveOptions>();
  auto words = std::make_shared<Words>();
  CLI::App* app = benchfs.add_subcommand("rm", "Remove files and links");
  app->add_option("PATH", *words, "What to remove")->type_name("");
  app->add_flag("-r,-R,--recursive", options->recursive, "Directories with all below them, too");
  app->add_flag("-f,--force", options->force, "What is not there is no error");
  return files_command(app, std::make_shared<Where>(), words, 0,
                       [options](Files& files, const Words& given) {
                         if (!given.empty() || options->force)
                           return Remover(files, *options).run(given);
                         print_error("rm", "an argument is missing");
                         return kUsage;
                       });
}

Command make_touch(CLI::App& benchfs) {
  auto no_create = std::make_shared<bool>(false);
  auto words = std::make_shared<Words>();
  CLI::App* app = benchfs.add_subcommand("touch", "Make empty files, or set their times to now");
  app->add_option("PATH", *words, "Files")->type_name("");
  app->add_flag("-c,--no-create", *no_create, "Makes no files");
  return files_command(
      app, std::make_shared<Where>(), words, 1,
      [no_create](Files& files, const Words& given) { return touch(files, given, !*no_create); });
}

Command make_chmod(CLI::App& benchfs) {
  auto recursive = std::make_shared<bool>(false);
  auto words = std::make_shared<Words>();
  CLI::App* app = benchfs.add_subcommand("chmod", "Change permissions");
  app->add_option("MODE PATH", *words, "Octal or such as u+rw,go-w; and files")->type_name("");
  app->add_flag("-R,--recursive", *recursive, "All below directories, too");
  app->footer("A mode that begins with a minus stands after \"--\".");
  return files_command(app, std::make_shared<Where>(), words, 2,
                       [recursive](Files& files, const Words& given) {
                         return ModeChanger(files, *recursive).run(given);
                       });
}

}  // namespace benchfs::tools
