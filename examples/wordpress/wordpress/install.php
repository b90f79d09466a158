<?php
// Fills the database at the first start; does nothing where it is filled already.

define('WP_INSTALLING', true);
$_SERVER += ['HTTP_HOST' => 'localhost', 'REQUEST_METHOD' => 'GET', 'REQUEST_URI' => '/', 'SERVER_PROTOCOL' => 'HTTP/1.1'];
require '/opt/wordpress/wp-load.php';

if (is_blog_installed()) {
    exit(0);
}
require_once ABSPATH . 'wp-admin/includes/upgrade.php';

$value = fn (string $name, string $default): string => getenv($name) ?: $default;
$begin = microtime(true);
wp_install(
    $value('WORDPRESS_BLOG_NAME', "User's Blog!"),
    $value('WORDPRESS_USERNAME', 'user'),
    $value('WORDPRESS_EMAIL', 'user@example.com'),
    true,
    '',
    wp_slash($value('WORDPRESS_PASSWORD', 'bitnami')),
);
update_option('show_avatars', 0); // they would be fetched from outside
update_option('default_pingback_flag', 0);
printf("entrypoint: installed WordPress %s (%.1f s)\n", $GLOBALS['wp_version'], microtime(true) - $begin);
