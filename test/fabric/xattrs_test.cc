// Extended attributes through real servers: the C interface, its errors, and restarts.
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <string>

#include "cluster.hpp"

namespace benchfs::test {
namespace {

int set(Session& session, const char* path, const char* name, const std::string& value,
        int flags = 0) {
  return benchfs_setxattr(session, path, name, value.data(), value.size(), flags);
}

/// The value, or "error: -N".
std::string get(Session& session, const char* path, const char* name, int flags = 0) {
  std::string value(65536, '?');
  const std::int64_t bytes =
      benchfs_getxattr(session, path, name, value.data(), value.size(), flags);
  if (bytes < 0) return "error: " + std::to_string(bytes);
  value.resize(static_cast<std::size_t>(bytes));
  return value;
}

std::string list(Session& session, const char* path) {
  std::string names(65536, '?');
  const std::int64_t bytes = benchfs_listxattr(session, path, names.data(), names.size(), 0);
  REQUIRE_MESSAGE(bytes >= 0, benchfs_error());
  names.resize(static_cast<std::size_t>(bytes));
  std::replace(names.begin(), names.end(), '\0', ',');
  return names;
}

TEST_SUITE("xattrs") {
  TEST_CASE("xattrs: of files and directories on all servers, kept over a restart") {
    Cluster cluster(3);
    std::string large;
    for (const unsigned char byte : pattern(65536, 7)) large += static_cast<char>(byte);
    {
      Session session(cluster);
      REQUIRE(benchfs_mkdir(session, "/d", 0755) == 0);
      for (int i = 0; i < 10; ++i) {
        const std::string path = "/d/f" + std::to_string(i);
        CHECK(benchfs_close(session.open(path, O_RDWR | O_CREAT)) == 0);
        CHECK(set(session, path.c_str(), "user.number", std::to_string(i)) == 0);
        CHECK(set(session, path.c_str(), "user.large", large) == 0);
      }
      const std::int64_t before = session.stat("/d").ctime_ns;
      CHECK(set(session, "/d", "user.d", "directory") == 0);
      const std::int64_t after = session.stat("/d").ctime_ns;
      CHECK(after > before);
      CHECK(set(session, "/d", "user.e", "") == 0);
      CHECK(benchfs_removexattr(session, "/d", "user.e", 0) == 0);
      CHECK(session.stat("/d").ctime_ns > after);
      CHECK(set(session, "/", "user.root", std::string("a\0b", 3)) == 0);
      // Another session sees them, and one that replaces nothing.
      Session other(cluster);
      CHECK(get(other, "/d/f3", "user.number") == "3");
      CHECK(get(other, "/d/f3", "user.large") == large);
      CHECK(set(other, "/d/f3", "user.number", "three", BENCHFS_XATTR_REPLACE) == 0);
    }
    cluster.stop();
    cluster.start();
    Session session(cluster);
    CHECK(get(session, "/d/f3", "user.number") == "three");
    for (int i = 0; i < 10; ++i) {
      const std::string path = "/d/f" + std::to_string(i);
      CHECK(get(session, path.c_str(), "user.large") == large);
      CHECK(list(session, path.c_str()) == "user.large,user.number,");
      CHECK(benchfs_removexattr(session, path.c_str(), "user.large", 0) == 0);
      CHECK(list(session, path.c_str()) == "user.number,");
    }
    CHECK(get(session, "/d", "user.d") == "directory");
    CHECK(get(session, "/", "user.root") == std::string("a\0b", 3));
    // A new file of the name has none.
    CHECK(benchfs_unlink(session, "/d/f3") == 0);
    CHECK(benchfs_close(session.open("/d/f3", O_RDWR | O_CREAT)) == 0);
    CHECK(list(session, "/d/f3").empty());
  }

  TEST_CASE("xattrs: errors and lengths are those of Linux") {
    Cluster cluster(2);
    Session session(cluster);
    CHECK(benchfs_close(session.open("/f", O_RDWR | O_CREAT)) == 0);
    REQUIRE(benchfs_symlink(session, "f", "/l") == 0);
    CHECK(set(session, "/l", "user.a", "value") == 0);
    CHECK(get(session, "/f", "user.a") == "value");
    CHECK(get(session, "/l", "user.a", BENCHFS_NOFOLLOW) == "error: " + std::to_string(-ENODATA));
    CHECK(set(session, "/l", "user.a", "value", BENCHFS_NOFOLLOW) == -EPERM);
    CHECK(benchfs_removexattr(session, "/l", "user.a", BENCHFS_NOFOLLOW) == -EPERM);
    CHECK(benchfs_listxattr(session, "/l", nullptr, 0, BENCHFS_NOFOLLOW) == 0);
    char value[8];
    CHECK(benchfs_getxattr(session, "/f", "user.a", nullptr, 0, 0) == 5);
    CHECK(benchfs_getxattr(session, "/f", "user.a", value, 4, 0) == -ERANGE);
    CHECK(benchfs_getxattr(session, "/f", "user.a", value, 5, 0) == 5);
    CHECK(benchfs_listxattr(session, "/f", nullptr, 0, 0) == 7);
    CHECK(benchfs_listxattr(session, "/f", value, 6, 0) == -ERANGE);
    CHECK(benchfs_listxattr(session, "/f", value, 7, 0) == 7);
    CHECK(set(session, "/f", "user.a", "", BENCHFS_XATTR_CREATE) == -EEXIST);
    CHECK(set(session, "/f", "user.b", "", BENCHFS_XATTR_REPLACE) == -ENODATA);
    CHECK(benchfs_removexattr(session, "/f", "user.b", 0) == -ENODATA);
    CHECK(benchfs_getxattr(session, "/f", "user.b", value, 5, 0) == -ENODATA);
    CHECK(set(session, "/f", "user.b", std::string(65537, 'x')) == -E2BIG);
    CHECK(std::string(benchfs_error()).find("65537") != std::string::npos);
    CHECK(set(session, "/f", ("user." + std::string(251, 'x')).c_str(), "") == -ERANGE);
    CHECK(set(session, "/f", "", "") == -ERANGE);
    CHECK(set(session, "/f", nullptr, "") == -ERANGE);
    CHECK(set(session, "/f", "user.", "") == -EINVAL);
    CHECK(set(session, "/f", "user.b", "", 8) == -EINVAL);
    CHECK(benchfs_listxattr(session, "/f", nullptr, 0, BENCHFS_XATTR_CREATE) == -EINVAL);
    CHECK(set(session, "/f", "trusted.a", "") == -EOPNOTSUPP);
    CHECK(std::string(benchfs_error()).find("trusted.a") != std::string::npos);
    CHECK(benchfs_getxattr(session, "/f", "security.selinux", value, 5, 0) == -EOPNOTSUPP);
    CHECK(set(session, "/no", "user.a", "") == -ENOENT);
    CHECK(benchfs_listxattr(session, "/f/g", nullptr, 0, 0) == -ENOTDIR);
  }
}

}  // namespace
}  // namespace benchfs::test
