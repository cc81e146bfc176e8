// The session of a command on files, its messages, and directories as lists.
#include "files.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "paths.hpp"

namespace benchfs::tools {
namespace {

/// Errors of the path that was given, which need no server named.
bool is_of_path(int error) {
  constexpr int kOfPath[] = {ENOENT,       EEXIST, ENOTDIR, EISDIR, ENOTEMPTY, ELOOP,
                             ENAMETOOLONG, EINVAL, EPERM,   EACCES, ENODATA};
  return std::find(std::begin(kOfPath), std::end(kOfPath), error) != std::end(kOfPath);
}

}  // namespace

void add_where(CLI::App& app, Where& where) {
  auto* registry = app.add_option("--registry", where.registry,
                                  "Registry directory (default: that of the environment)");
  app.add_option("--servers", where.servers, "host:port,... of any servers, instead of a registry")
      ->excludes(registry);
  name_values(app);
}

std::unique_ptr<Files> Files::connect(const std::string& command, const Where& where) {
  const std::string given =
      where.servers.empty() && !where.registry.empty() ? absolute(where.registry) : where.servers;
  benchfs_t* fs = nullptr;
  if (benchfs_connect(given.empty() ? nullptr : given.c_str(), &fs) != 0) {
    print_error(command, benchfs_error());
    return nullptr;
  }
  return std::unique_ptr<Files>(new Files(command, fs));
}

Files::~Files() {
  benchfs_disconnect(fs_);
}

void Files::complain(const std::string& path, std::int64_t error) {
  complain(path, cause_of(error));
}

void Files::complain(const std::string& path, const std::string& cause) {
  print_error(command_, path + ": " + cause);
  failed_ = true;
}

std::optional<Stat> Files::stat(const std::string& path, bool follow) {
  Stat st{};
  const int error =
      follow ? benchfs_stat(fs_, path.c_str(), &st) : benchfs_lstat(fs_, path.c_str(), &st);
  if (error == 0) return st;
  complain(path, error);
  return std::nullopt;
}

bool Files::is_directory(const std::string& path) const {
  Stat st{};
  return benchfs_stat(fs_, path.c_str(), &st) == 0 && S_ISDIR(st.mode);
}

bool Files::each_entry(const std::string& path, int flags,
                       const std::function<void(const Entry&)>& visit) {
  benchfs_dir_t* directory = nullptr;
  int got = benchfs_opendir(fs_, path.c_str(), flags, &directory);
  if (got == 0) {
    Entry entry;
    while ((got = benchfs_readdir(directory, &entry)) == 1) visit(entry);
    // Before anything else can change the text of the error.
    if (got != 0) complain(path, got);
    benchfs_closedir(directory);
    return got == 0;
  }
  complain(path, got);
  return false;
}

std::uint64_t Files::each_match(const std::string& path, const struct benchfs_match& match,
                                int flags, const std::function<void(const Entry&)>& visit) {
  benchfs_dir_t* directory = nullptr;
  int got = benchfs_opendir_match(fs_, path.c_str(), &match, flags, &directory);
  if (got != 0) {
    complain(path, got);
    return 0;
  }
  Entry entry;
  while ((got = benchfs_readdir(directory, &entry)) == 1) visit(entry);
  if (got != 0) complain(path, got);
  const std::uint64_t seen = benchfs_dir_seen(directory);
  benchfs_closedir(directory);
  return seen;
}

std::vector<Entry> Files::sorted(const std::string& path, int flags, bool all) {
  std::vector<Entry> entries;
  each_entry(path, flags, [&](const Entry& entry) {
    if (all || entry.name[0] != '.') entries.push_back(entry);
  });
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return std::strcmp(a.name, b.name) < 0; });
  return entries;
}

std::string Files::link_target(const std::string& path) const {
  char target[4096];
  const std::int64_t bytes = benchfs_readlink(fs_, path.c_str(), target, sizeof(target));
  return bytes < 0 ? std::string() : std::string(target, static_cast<std::size_t>(bytes));
}

int Files::xattr_names(const std::string& path, int flags, std::vector<std::string>& names) const {
  std::string list(65536, '\0');  // as many as there can be
  const std::int64_t bytes = benchfs_listxattr(fs_, path.c_str(), list.data(), list.size(), flags);
  if (bytes < 0) return static_cast<int>(bytes);
  names.clear();
  const std::size_t end = static_cast<std::size_t>(bytes);
  for (std::size_t at = 0; at < end; at += names.back().size() + 1) {
    names.emplace_back(list.c_str() + at);
  }
  return 0;
}

int Files::xattr(const std::string& path, const std::string& name, int flags,
                 std::string& value) const {
  value.resize(65536);
  const std::int64_t bytes =
      benchfs_getxattr(fs_, path.c_str(), name.c_str(), value.data(), value.size(), flags);
  value.resize(bytes < 0 ? 0 : static_cast<std::size_t>(bytes));
  return bytes < 0 ? static_cast<int>(bytes) : 0;
}

std::string cause_of(std::int64_t error) {
  const int number = static_cast<int>(-error);
  return is_of_path(number) ? std::strerror(number) : benchfs_error();
}

std::string path_of(const std::string& word) {
  constexpr std::string_view kPrefix = "benchfs:";
  return word.starts_with(kPrefix) ? word.substr(kPrefix.size()) : word;
}

std::string joined(const std::string& directory, std::string_view name) {
  std::string path = directory;
  if (!path.ends_with('/')) path += '/';
  path += name;
  return path;
}

std::string base_name(const std::string& path) {
  const std::size_t end = path.find_last_not_of('/');
  if (end == std::string::npos) return "";
  const std::size_t slash = path.rfind('/', end);
  const std::size_t begin = slash == std::string::npos ? 0 : slash + 1;
  return path.substr(begin, end + 1 - begin);
}

std::string mode_text(std::uint32_t mode) {
  std::string text = "-rwxrwxrwx";
  text[0] = S_ISDIR(mode) ? 'd' : S_ISLNK(mode) ? 'l' : '-';
  for (unsigned i = 0; i < 9; ++i) {
    if ((mode & (0400u >> i)) == 0) text[i + 1] = '-';
  }
  const auto special = [&](std::uint32_t bit, std::size_t at, char with, char without) {
    if ((mode & bit) != 0) text[at] = text[at] == 'x' ? with : without;
  };
  special(S_ISUID, 3, 's', 'S');
  special(S_ISGID, 6, 's', 'S');
  special(S_ISVTX, 9, 't', 'T');
  return text;
}

const char* type_text(std::uint32_t mode) {
  return S_ISDIR(mode) ? "directory" : S_ISLNK(mode) ? "link" : "file";
}

std::string shown(std::string_view name) {
  static const bool terminal = isatty(STDOUT_FILENO) != 0;
  std::string text(name);
  if (!terminal) return text;
  for (char& c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) c = '?';
  }
  return text;
}

std::string json_object(const std::string& path, const Stat& st, const std::string& target) {
  return fmt::format(
      "{{\"path\": {}, \"type\": \"{}\", \"inode\": {}, \"size\": {}, \"chunk_bytes\": {}, "
      "\"mode\": \"{:04o}\", \"nlink\": {}, \"uid\": {}, \"gid\": {}, \"atime_ns\": {}, "
      "\"mtime_ns\": {}, \"ctime_ns\": {}{}}}",
      json_string(path), type_text(st.mode), st.inode, st.size, st.chunk_bytes, st.mode & 07777,
      st.nlink, st.uid, st.gid, st.atime_ns, st.mtime_ns, st.ctime_ns,
      S_ISLNK(st.mode) ? ", \"target\": " + json_string(target) : "");
}

bool put_out(std::string_view text) {
  return std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
}

Command files_command(CLI::App* app, std::shared_ptr<Where> where,
                      std::shared_ptr<std::vector<std::string>> words, std::size_t words_min,
                      std::function<int(Files& files, const std::vector<std::string>& words)> run) {
  app->group("Commands on files");
  add_where(*app, *where);
  const auto body = [=](const std::vector<std::string>& rest) {
    std::vector<std::string> all = *words;
    all.insert(all.end(), rest.begin(), rest.end());
    if (all.size() < words_min) {
      print_error(app->get_name(), "an argument is missing");
      std::fprintf(stderr, "Try: benchfs %s --help\n", app->get_name().c_str());
      return kUsage;
    }
    const auto files = Files::connect(app->get_name(), *where);
    if (files == nullptr) return kFailure;
    const int status = run(*files, all);
    if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return status;
    files->complain("standard output", std::string(std::strerror(errno)));
    return kFailure;
  };
  return {app, true, body};
}

}  // namespace benchfs::tools
