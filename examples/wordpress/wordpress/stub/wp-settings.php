<?php
// Stands in for WordPress where only the constants of wp-config.php are wanted (wait.php).
