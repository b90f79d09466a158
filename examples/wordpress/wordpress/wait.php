<?php
// Waits until the database of wp-config.php lets us in; fails after WORDPRESS_DB_TIMEOUT seconds.

define('ABSPATH', '/opt/example/stub/');
require '/bitnami/wordpress/wp-config.php';

mysqli_report(MYSQLI_REPORT_OFF);
$seconds = (int) (getenv('WORDPRESS_DB_TIMEOUT') ?: 60);
$begin = microtime(true);
$said = $begin;
[$host, $port] = explode(':', DB_HOST, 2) + [1 => '3306'];

while (true) {
    $link = mysqli_init();
    $link->options(MYSQLI_OPT_CONNECT_TIMEOUT, 5);
    if (@$link->real_connect($host, DB_USER, DB_PASSWORD, DB_NAME, (int) $port)) {
        printf("entrypoint: database %s answers (waited %.1f s)\n", DB_HOST, microtime(true) - $begin);
        exit(0);
    }
    $now = microtime(true);
    if ($now - $begin >= $seconds) {
        printf("entrypoint: database %s can't be reached: gave up after %d s: %s\n", DB_HOST, $seconds, $link->connect_error);
        exit(1);
    }
    if ($said === $begin || $now - $said >= 10) {
        printf("entrypoint: waiting for database %s, %d s at most: %s\n", DB_HOST, $seconds, $link->connect_error);
        $said = $now;
    }
    usleep(500000);
}
