// Random operations by several sessions, each done on a local directory as well: the same outcome,
// the same errors, and in the end the same tree. Some files stay open, and are used whatever
// becomes of their names. BENCHFS_TEST_SEED and BENCHFS_TEST_STEPS choose others.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "cluster.hpp"

namespace benchfs::test {
namespace {

constexpr std::uint64_t kChunk = 64 << 10;

std::uint64_t number_of(const char* name, std::uint64_t otherwise) {
  const char* text = getenv(name);
  return text == nullptr ? otherwise : std::stoull(text);
}

/// What both sides say of a file.
struct Seen {
  std::uint32_t mode = 0;
  std::uint64_t size = 0;  ///< of what is no directory
  std::uint64_t nlink = 0;
  bool operator==(const Seen&) const = default;
};

/// Paths begin in a directory deep enough that no ".." leads out of the local one.
constexpr const char* kTop = "/t/t/t/t/t/t";

class Model {
 public:
  Model(const Cluster& cluster, int sessions, std::uint64_t seed) : random_(seed) {
    for (int i = 0; i < sessions; ++i) sessions_.push_back(std::make_unique<Session>(cluster));
    for (std::string path = "/t"; path.size() <= std::string(kTop).size(); path += "/t") {
      REQUIRE(benchfs_mkdir(session(), path.c_str(), 0755) == 0);
      REQUIRE(::mkdir(local(path).c_str(), 0755) == 0);
    }
  }

  void step() {
    static constexpr void (Model::*kSteps[])() = {
        &Model::create, &Model::create, &Model::write,   &Model::write,    &Model::mkdir,
        &Model::mkdir,  &Model::unlink, &Model::rmdir,   &Model::rename,   &Model::rename,
        &Model::rename, &Model::link,   &Model::symlink, &Model::truncate, &Model::chmod,
        &Model::stat,   &Model::read,   &Model::append,  &Model::keep,     &Model::keep,
        &Model::use,    &Model::use,    &Model::use,     &Model::let_go};
    (this->*kSteps[pick(std::size(kSteps))])();
  }
  void compare_trees() { compare("/t"); }
  void close_all() {
    while (!kept_.empty()) let_go();
  }

 private:
  /// The same file, open on both sides.
  struct Kept {
    benchfs_file_t* file = nullptr;
    int fd = -1;
  };
  static constexpr std::size_t kKeptMax = 8;

  std::size_t pick(std::size_t choices) { return random_() % choices; }
  Session& session() { return *sessions_[pick(sessions_.size())]; }
  std::string local(const std::string& path) const { return directory_.path() + path; }
  std::string path() {
    static constexpr const char* kNames[] = {"a", "b", "c", "d"};
    std::string made = kTop;
    for (std::size_t depth = 1 + pick(3); depth > 0; --depth) {
      if (depth > 1 && pick(12) == 0) made += "/..";
      made += std::string("/") + kNames[pick(4)];
    }
    return made;
  }
  /// Of a system call, as BenchFS gives it.
  static std::int64_t outcome(std::int64_t result) { return result < 0 ? -errno : 0; }
  void same(const std::string& what, const std::string& where, std::int64_t got,
            std::int64_t expected) {
    CHECK_MESSAGE(got == expected, what << " " << where);
  }

  void create() {
    const std::string at = path();
    const int flags = O_RDWR | O_CREAT | (pick(2) == 0 ? O_EXCL : 0) | (pick(3) == 0 ? O_TRUNC : 0);
    benchfs_file_t* file = nullptr;
    const int got = benchfs_open(session(), at.c_str(), flags, 0644, kChunk, &file);
    const int fd = ::open(local(at).c_str(), flags, 0644);
    same("create", at, got, outcome(fd));
    if (fd >= 0) ::close(fd);
    if (got == 0) CHECK(benchfs_close(file) == 0);
  }
  void write() {
    const std::string at = path();
    const bool exact = pick(2) == 0;
    const std::uint64_t offset = exact ? 0 : random_() % (4 * kChunk);
    const auto data = pattern(1 + random_() % (exact ? 5000 : 2 * kChunk), random_());
    benchfs_file_t* file = nullptr;
    const int got = benchfs_open(session(), at.c_str(), O_WRONLY, 0, 0, &file);
    const int fd = ::open(local(at).c_str(), O_WRONLY);
    same("open to write", at, got, outcome(fd));
    if (got != 0 || fd < 0) return;
    const auto bytes = static_cast<std::int64_t>(data.size());
    CHECK(benchfs_pwrite(file, data.data(), data.size(), offset) == bytes);
    CHECK(::pwrite(fd, data.data(), data.size(), static_cast<off_t>(offset)) == bytes);
    CHECK(benchfs_close(file) == 0);
    ::close(fd);
  }
  void append() {
    const std::string at = path();
    const auto data = pattern(1 + random_() % 3000, random_());
    benchfs_file_t* file = nullptr;
    const int got = benchfs_open(session(), at.c_str(), O_WRONLY | O_APPEND, 0, 0, &file);
    const int fd = ::open(local(at).c_str(), O_WRONLY | O_APPEND);
    same("open to append", at, got, outcome(fd));
    if (got != 0 || fd < 0) return;
    const auto bytes = static_cast<std::int64_t>(data.size());
    CHECK(benchfs_write(file, data.data(), data.size()) == bytes);
    CHECK(::write(fd, data.data(), data.size()) == bytes);
    CHECK(benchfs_close(file) == 0);
    ::close(fd);
  }
  void mkdir() {
    const std::string at = path();
    same("mkdir", at, benchfs_mkdir(session(), at.c_str(), 0755),
         outcome(::mkdir(local(at).c_str(), 0755)));
  }
  void unlink() {
    const std::string at = path();
    same("unlink", at, benchfs_unlink(session(), at.c_str()), outcome(::unlink(local(at).c_str())));
  }
  void rmdir() {
    const std::string at = path();
    same("rmdir", at, benchfs_rmdir(session(), at.c_str()), outcome(::rmdir(local(at).c_str())));
  }
  void rename() {
    const std::string from = path(), to = path();
    const unsigned flags = pick(2) == 0 ? 0 : static_cast<unsigned>(pick(3));
    const int got = benchfs_rename(session(), from.c_str(), to.c_str(), flags);
    const std::int64_t result =
        outcome(::renameat2(AT_FDCWD, local(from).c_str(), AT_FDCWD, local(to).c_str(), flags));
    same(flags == 0   ? "rename"
         : flags == 1 ? "rename, no replace"
                      : "exchange",
         from + " " + to, got, result);
  }
  void link() {
    const std::string from = path(), to = path();
    const int got = benchfs_link(session(), from.c_str(), to.c_str());
    same("link", from + " " + to, got, outcome(::link(local(from).c_str(), local(to).c_str())));
  }
  void symlink() {
    static constexpr const char* kTargets[] = {"a", "b", "../a", "c/d", "./b/../a", "none"};
    const std::string at = path();
    const char* target = kTargets[pick(std::size(kTargets))];
    const int got = benchfs_symlink(session(), target, at.c_str());
    same("symlink", at, got, outcome(::symlink(target, local(at).c_str())));
  }
  void truncate() {
    const std::string at = path();
    const std::uint64_t size = random_() % (5 * kChunk);
    const int got = benchfs_truncate(session(), at.c_str(), size);
    same("truncate", at, got, outcome(::truncate(local(at).c_str(), static_cast<off_t>(size))));
  }
  void chmod() {
    const std::string at = path();
    const std::uint32_t mode = 0400 | (random_() & 0377);
    same("chmod", at, benchfs_chmod(session(), at.c_str(), mode),
         outcome(::chmod(local(at).c_str(), mode)));
  }
  void stat() { look(path(), pick(2) == 0); }
  void read() { compare_content(path()); }

  /// Opens a file and leaves it open.
  void keep() {
    if (kept_.size() == kKeptMax) let_go();
    const std::string at = path();
    const int flags = O_RDWR | (pick(2) == 0 ? O_CREAT : 0);
    Kept kept;
    const int got = benchfs_open(session(), at.c_str(), flags, 0644, kChunk, &kept.file);
    kept.fd = ::open(local(at).c_str(), flags, 0644);
    same("open to keep", at, got, outcome(kept.fd));
    if (got == 0 && kept.fd >= 0) kept_.push_back(kept);
  }
  void use() {
    if (kept_.empty()) return;
    const Kept kept = kept_[pick(kept_.size())];
    const std::string at = benchfs_path(kept.file);
    switch (pick(4)) {
      case 0: {
        const std::uint64_t offset = random_() % (4 * kChunk);
        const auto data = pattern(1 + random_() % (2 * kChunk), random_());
        const auto bytes = static_cast<std::int64_t>(data.size());
        CHECK(benchfs_pwrite(kept.file, data.data(), data.size(), offset) == bytes);
        CHECK(benchfs_flush_size(kept.file) == 0);
        CHECK(::pwrite(kept.fd, data.data(), data.size(), static_cast<off_t>(offset)) == bytes);
        break;
      }
      case 1: {
        const std::uint64_t size = random_() % (5 * kChunk);
        same("ftruncate", at, benchfs_ftruncate(kept.file, size),
             outcome(::ftruncate(kept.fd, static_cast<off_t>(size))));
        break;
      }
      case 2:
        CHECK(benchfs_sync(kept.file) == 0);
        break;
      default:
        break;
    }
    compare_kept(kept);
  }
  void compare_kept(const Kept& kept) {
    const std::string at = benchfs_path(kept.file);
    struct benchfs_stat got {};
    struct ::stat expected {};
    REQUIRE(benchfs_fstat(kept.file, &got) == 0);
    REQUIRE(::fstat(kept.fd, &expected) == 0);
    CHECK_MESSAGE(
        seen(got.mode, got.size, got.nlink) ==
            seen(expected.st_mode, static_cast<std::uint64_t>(expected.st_size), expected.st_nlink),
        at);
    std::vector<unsigned char> bytes(10 * kChunk), there(bytes.size());
    const std::int64_t read = benchfs_pread(kept.file, bytes.data(), bytes.size(), 0);
    CHECK_MESSAGE(read == ::pread(kept.fd, there.data(), there.size(), 0), at);
    CHECK_MESSAGE(bytes == there, at);
  }
  void let_go() {
    if (kept_.empty()) return;
    const std::size_t which = pick(kept_.size());
    const Kept kept = kept_[which];
    kept_.erase(kept_.begin() + static_cast<std::ptrdiff_t>(which));
    compare_kept(kept);
    CHECK(benchfs_close(kept.file) == 0);
    ::close(kept.fd);
  }

  static Seen seen(std::uint32_t mode, std::uint64_t size, std::uint64_t nlink) {
    const bool directory = S_ISDIR(mode);
    return {mode, directory ? 0 : size, directory ? 0 : nlink};
  }
  void look(const std::string& at, bool follow) {
    struct benchfs_stat got {};
    struct ::stat expected {};
    const int error = follow ? benchfs_stat(session(), at.c_str(), &got)
                             : benchfs_lstat(session(), at.c_str(), &got);
    const std::int64_t result = outcome(follow ? ::stat(local(at).c_str(), &expected)
                                               : ::lstat(local(at).c_str(), &expected));
    same("stat", at, error, result);
    if (error != 0 || result != 0) return;
    CHECK_MESSAGE(
        seen(got.mode, got.size, got.nlink) ==
            seen(expected.st_mode, static_cast<std::uint64_t>(expected.st_size), expected.st_nlink),
        at);
  }
  void compare_content(const std::string& at) {
    benchfs_file_t* file = nullptr;
    const int got = benchfs_open(session(), at.c_str(), O_RDONLY, 0, 0, &file);
    int fd = ::open(local(at).c_str(), O_RDONLY);
    std::int64_t opened = outcome(fd);
    struct ::stat st {};
    if (fd >= 0 && ::fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {  // which reads as an error
      ::close(fd);
      fd = -1;
      opened = -EISDIR;
    }
    same("open", at, got, opened);
    if (got == 0 && fd >= 0) {
      std::vector<unsigned char> bytes(10 * kChunk), expected(bytes.size());
      const std::int64_t read = benchfs_pread(file, bytes.data(), bytes.size(), 0);
      CHECK_MESSAGE(read == ::pread(fd, expected.data(), expected.size(), 0), at);
      CHECK_MESSAGE(bytes == expected, at);
    }
    if (fd >= 0) ::close(fd);
    if (got == 0) CHECK(benchfs_close(file) == 0);
  }
  void compare(const std::string& at) {
    std::map<std::string, std::uint32_t> names, expected;
    benchfs_dir_t* directory = nullptr;
    REQUIRE(benchfs_opendir(session(), at.c_str(), 0, &directory) == 0);
    benchfs_dirent entry;
    while (benchfs_readdir(directory, &entry) == 1) {
      CHECK(names.emplace(entry.name, entry.type).second);
    }
    CHECK(benchfs_closedir(directory) == 0);
    DIR* dir = ::opendir(local(at).c_str());
    REQUIRE(dir != nullptr);
    while (const dirent* each = ::readdir(dir)) {
      const std::string name = each->d_name;
      if (name != "." && name != "..") expected.emplace(name, DTTOIF(each->d_type));
    }
    ::closedir(dir);
    CHECK_MESSAGE(names == expected, at);
    for (const auto& [name, type] : expected) {
      const std::string below = at + "/" + name;
      look(below, false);
      if (S_ISDIR(type)) compare(below);
      if (S_ISREG(type)) compare_content(below);
      if (!S_ISLNK(type)) continue;
      char target[100], there[100];
      const std::int64_t bytes = benchfs_readlink(session(), below.c_str(), target, sizeof(target));
      REQUIRE(bytes == ::readlink(local(below).c_str(), there, sizeof(there)));
      CHECK(std::equal(target, target + bytes, there));
    }
  }

  TemporaryDirectory directory_;
  std::mt19937_64 random_;
  std::vector<std::unique_ptr<Session>> sessions_;
  std::vector<Kept> kept_;
};

void run_model(int servers, int sessions, std::uint64_t steps) {
  const std::uint64_t seed = number_of("BENCHFS_TEST_SEED", static_cast<std::uint64_t>(servers));
  INFO("BENCHFS_TEST_SEED=" << seed);
  Cluster cluster(servers);
  Model model(cluster, sessions, seed);
  steps = number_of("BENCHFS_TEST_STEPS", steps);
  for (std::uint64_t i = 0; i < steps; ++i) {
    INFO("step " << i);
    model.step();
  }
  model.compare_trees();
  Session session(cluster);
  const auto check_clean = [&] {
    struct benchfs_fsck_result result {};
    const auto show = [](const struct benchfs_fsck_finding* finding, void*) {
      FAIL_CHECK(finding->text);
    };
    CHECK(benchfs_fsck(session, 0, show, nullptr, &result) == 0);
    CHECK(result.undecided == 0);
  };
  check_clean();
  model.close_all();
  check_clean();
}

TEST_SUITE("model") {
  TEST_CASE("model: random operations of one session, as on a local directory") {
    run_model(3, 1, 3000);
  }
  TEST_CASE("model: random operations of three sessions that cache nothing, one after the other") {
    setenv("BENCHFS_CACHE_TTL", "0", 1);
    run_model(2, 3, 3000);
    unsetenv("BENCHFS_CACHE_TTL");
  }
}

}  // namespace
}  // namespace benchfs::test
