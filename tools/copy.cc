// `benchfs cat`, `benchfs put`, `benchfs get`: whole files between here and there.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "files.hpp"
#include "mode.hpp"
#include "net/socket.hpp"

namespace benchfs::tools {
namespace {

using Words = std::vector<std::string>;

constexpr std::size_t kBlockBytes = 8u << 20;

/// What was read into `block`, less than it has room for only at the end; or a negative errno.
std::int64_t read_local(int fd, std::vector<char>& block) {
  std::size_t have = 0;
  while (have < block.size()) {
    const ssize_t got = ::read(fd, block.data() + have, block.size() - have);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return -errno;
    if (got == 0) break;
    have += static_cast<std::size_t>(got);
  }
  return static_cast<std::int64_t>(have);
}

int write_local(int fd, const char* from, std::size_t bytes) {
  while (bytes > 0) {
    const ssize_t put = ::write(fd, from, bytes);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return -errno;
    from += put;
    bytes -= static_cast<std::size_t>(put);
  }
  return 0;
}

/// The whole file to `fd`, which `local` names in messages.
void copy_out(Files& files, const std::string& path, int fd, const std::string& local) {
  benchfs_file_t* file = nullptr;
  int error = benchfs_open(files, path.c_str(), O_RDONLY, 0, 0, &file);
  if (error != 0) return files.complain(path, error);
  std::vector<char> block(kBlockBytes);
  for (std::uint64_t at = 0;;) {
    const std::int64_t got = benchfs_pread(file, block.data(), block.size(), at);
    if (got < 0) files.complain(path, got);
    if (got <= 0) break;
    const int written = write_local(fd, block.data(), static_cast<std::size_t>(got));
    if (written != 0) {
      files.complain(local, std::string(std::strerror(-written)));
      break;
    }
    at += static_cast<std::uint64_t>(got);
  }
  error = benchfs_close(file);
  if (error != 0) files.complain(path, error);
}

void copy_in(Files& files, int fd, const std::string& local, const std::string& path,
             std::uint32_t mode) {
  benchfs_file_t* file = nullptr;
  int error = benchfs_open(files, path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, mode, 0, &file);
  if (error != 0) return files.complain(path, error);
  std::vector<char> block(kBlockBytes);
  for (std::uint64_t at = 0;;) {
    const std::int64_t got = read_local(fd, block);
    if (got < 0) files.complain(local, std::string(std::strerror(static_cast<int>(-got))));
    if (got <= 0) break;
    const std::int64_t put = benchfs_pwrite(file, block.data(), static_cast<std::size_t>(got), at);
    if (put < 0) {
      files.complain(path, put);
      break;
    }
    at += static_cast<std::uint64_t>(got);
  }
  error = benchfs_close(file);
  if (error != 0) files.complain(path, error);
}

int cat(Files& files, const Words& words) {
  for (const std::string& word : words) {
    copy_out(files, path_of(word), STDOUT_FILENO, "standard output");
  }
  return files.status();
}

int put(Files& files, const Words& words) {
  const std::string target = path_of(words.back());
  const bool into = files.is_directory(target);
  if (!into && words.size() > 2) {
    files.complain(target, std::string("not a directory, for several files"));
    return kFailure;
  }
  for (std::size_t i = 0; i + 1 < words.size(); ++i) {
    const std::string& local = words[i];
    const bool standard = local == "-";
    const Fd opened(standard ? -1 : ::open(local.c_str(), O_RDONLY | O_CLOEXEC));
    const int fd = standard ? STDIN_FILENO : opened.get();
    struct ::stat st {};
    if (fd < 0 || fstat(fd, &st) != 0) {
      files.complain(local, std::string(std::strerror(errno)));
    } else if (S_ISDIR(st.st_mode)) {
      files.complain(local, std::string(std::strerror(EISDIR)));
    } else if (into && standard) {
      files.complain(target, std::string("standard input needs a name, not a directory"));
    } else {
      const std::uint32_t mode = S_ISREG(st.st_mode) ? st.st_mode & 0777 : 0666;
      copy_in(files, fd, standard ? "standard input" : local,
              into ? joined(target, base_name(local)) : target, mode & ~umask_now());
    }
  }
  return files.status();
}

int get(Files& files, const Words& words) {
  const std::string& target = words.back();
  struct ::stat there {};
  const bool into = ::stat(target.c_str(), &there) == 0 && S_ISDIR(there.st_mode);
  if (!into && words.size() > 2) {
    files.complain(target, std::string("not a directory, for several files"));
    return kFailure;
  }
  for (std::size_t i = 0; i + 1 < words.size(); ++i) {
    const std::string path = path_of(words[i]);
    const auto st = files.stat(path);
    if (!st) continue;
    if (S_ISDIR(st->mode)) {
      files.complain(path, std::string(std::strerror(EISDIR)));
      continue;
    }
    if (target == "-") {
      copy_out(files, path, STDOUT_FILENO, "standard output");
      continue;
    }
    const std::string local = into ? joined(target, base_name(path)) : target;
    const int flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC;
    const int fd = ::open(local.c_str(), flags, st->mode & 0777);
    if (fd < 0) {
      files.complain(local, std::string(std::strerror(errno)));
      continue;
    }
    copy_out(files, path, fd, local);
    if (::close(fd) != 0) files.complain(local, std::string(std::strerror(errno)));
  }
  return files.status();
}

}  // namespace

Command make_cat(CLI::App& benchfs) {
  auto words = std::make_shared<Words>();
  CLI::App* app = benchfs.add_subcommand("cat", "Write files to standard output");
  app->add_option("PATH", *words, "Files")->type_name("");
  return files_command(app, std::make_shared<Where>(), words, 1, cat);
}

Command make_put(CLI::App& benchfs) {
  auto words = std::make_shared<Words>();
  CLI::App* app = benchfs.add_subcommand("put", "Copy files of this machine into the file system");
  app->add_option("LOCAL... PATH", *words, "Files (- is standard input), then a name or directory")
      ->type_name("");
  return files_command(app, std::make_shared<Where>(), words, 2, put);
}

Command make_get(CLI::App& benchfs) {
  auto words = std::make_shared<Words>();
  CLI::App* app = benchfs.add_subcommand("get", "Copy files out of the file system");
  app->add_option("PATH... LOCAL", *words,
                  "Files, then a name or directory here (- is standard output)")
      ->type_name("");
  return files_command(app, std::make_shared<Where>(), words, 2, get);
}

}  // namespace benchfs::tools
